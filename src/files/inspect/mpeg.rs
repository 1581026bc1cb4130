//! The header of an MPEG audio frame. Source: ISO/IEC 11172-3, 2.4.1.3 and 2.4.2.3; 13818-3 for the
//! lower sample rates, and MPEG 2.5 as Fraunhofer's encoder writes it.

/// A common multiple of all sample rates, so that sums of frames with different rates are exact.
pub(super) const TICKS: u64 = 14_112_000;

/// Kilobits per second: MPEG 1 layer 1, 2 and 3, then MPEG 2 layer 1, and layers 2 and 3.
const BIT_RATES: [[u32; 15]; 5] = [
    [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// One frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MpegFrame {
    pub(super) layer: u8,
    /// Samples per second.
    pub(super) rate: u32,
    pub(super) samples: u32,
    /// The length in bytes, with the header; `None` in the free format, which doesn't say.
    pub(super) length: Option<u32>,
    /// The extra bytes of this frame.
    pub(super) padding: u32,
    /// The length of a layer 3 frame's side information; a VBR header stands behind it.
    pub(super) side: usize,
}

impl MpegFrame {
    /// Parses a header from the first bytes.
    pub(super) fn parse(head: &[u8]) -> Option<Self> {
        let [sync, second, third, fourth, ..] = *head else { return None };
        // 11 bits of sync.
        if sync != 0xff || second & 0b1110_0000 != 0b1110_0000 {
            return None;
        }
        let rate: u32 = match third >> 2 & 3 {
            0 => 44_100,
            1 => 48_000,
            2 => 32_000,
            _ => return None,
        };
        let (first, rate) = match second >> 3 & 3 {
            0 => (false, rate / 4),
            2 => (false, rate / 2),
            3 => (true, rate),
            _ => return None,
        };
        let layer = match second >> 1 & 3 {
            1 => 3,
            2 => 2,
            3 => 1,
            _ => return None,
        };
        let table = match (first, layer) {
            (true, layer) => usize::from(layer) - 1,
            (false, 1) => 3,
            (false, _) => 4,
        };
        let bit_rate = BIT_RATES.get(table)?.get(usize::from(third >> 4))? * 1000;
        let samples = match (layer, first) {
            (1, _) => 384,
            (3, false) => 576,
            _ => 1152,
        };
        // Layer 1 counts in slots of four bytes.
        let slot = if layer == 1 { 4 } else { 1 };
        let padding = u32::from(third >> 1 & 1) * slot;
        let length = (bit_rate > 0).then(|| samples / 8 / slot * bit_rate / rate * slot + padding);
        let mono = fourth >> 6 == 3;
        let side = match (first, mono) {
            (true, false) => 32,
            (true, true) | (false, false) => 17,
            (false, true) => 9,
        };
        Some(Self { layer, rate, samples, length, padding, side })
    }

    /// Returns whether another frame may belong to the same sound.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let Self { layer, rate, samples, length, padding: _, side: _ } = other;
        (self.layer, self.rate, self.samples, self.length.is_some()) == (*layer, *rate, *samples, length.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_lengths_match_those_of_encoders() {
        let check = |head: [u8; 4], layer: u8, rate: u32, samples: u32, length: Option<u32>| {
            let frame = MpegFrame::parse(&head).unwrap();
            assert_eq!(
                (frame.layer, frame.rate, frame.samples, frame.length),
                (layer, rate, samples, length),
                "{head:x?}"
            );
            assert_eq!(TICKS % u64::from(rate), 0);
        };
        check([0xff, 0xfb, 0x90, 0x00], 3, 44_100, 1152, Some(417));
        check([0xff, 0xfb, 0x92, 0x00], 3, 44_100, 1152, Some(418));
        check([0xff, 0xfb, 0x00, 0x00], 3, 44_100, 1152, None);
        check([0xff, 0xfa, 0xe4, 0x00], 3, 48_000, 1152, Some(960));
        check([0xff, 0xf3, 0x80, 0xc0], 3, 22_050, 576, Some(208));
        check([0xff, 0xe3, 0x88, 0xc0], 3, 8000, 576, Some(576));
        check([0xff, 0xfd, 0xa4, 0x00], 2, 48_000, 1152, Some(576));
        check([0xff, 0xff, 0xc8, 0x00], 1, 32_000, 384, Some(576));
        for wrong in [
            [0xff, 0xfb, 0xf0, 0],
            [0xff, 0xfb, 0x9c, 0],
            [0xff, 0xeb, 0x90, 0],
            [0xff, 0xf9, 0x90, 0],
            [0xfe, 0xfb, 0x90, 0],
        ] {
            assert_eq!(MpegFrame::parse(&wrong), None, "{wrong:x?}");
        }
        assert_eq!(MpegFrame::parse(&[0xff, 0xfb, 0x90]), None);
    }
}
