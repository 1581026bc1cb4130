//! The proxy on the way to the remote, as messages name it: without it, a proxy that is down looks
//! like Roblox that is down.
#![expect(
    clippy::disallowed_methods,
    reason = "the library takes its proxy from the environment, and messages name the variable"
)]

use hyper_util::client::proxy::matcher::Matcher;

use super::base::BaseUrl;

/// The variables with a proxy for https, in the order in which the library looks at them.
const VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// Returns the proxy of requests to `remote` with the variable that names it, such as `the proxy
/// 127.0.0.1:3128 (HTTPS_PROXY)`. Never contains a user name or password.
pub(super) fn on_the_way(remote: &BaseUrl) -> Option<String> {
    if remote.is_loopback() {
        return None;
    }
    let proxy = Matcher::from_env().intercept(&remote.as_str().parse().ok()?)?;
    let host = proxy.uri().host()?;
    let port = proxy.uri().port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let variable = VARIABLES.into_iter().find(is_set)?;
    Some(format!("the proxy {host}{port} ({variable})"))
}
