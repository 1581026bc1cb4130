// Uses what Macadam writes as a game does: this file must type-check and compile.

import { Assets as literal } from "./constants/flat-uri-cut-literal";
import { Assets as nestedId } from "./constants/nested-id-cut-wide";
import { Assets as content } from "./constants/nested-content-literal";
import declared from "./modules/flat-uri-cut";
import declaredWide from "./modules/nested-uri";
import declaredId from "./modules/nested-id-cut";
import declaredContent from "./modules/flat-content";

// Literal types are the values themselves, wide ones take any.
export const closeButton: "rbxassetid://2" = literal["ui/close"];
export const closeDeclared: "rbxassetid://2" = declared["ui/close"];
export const wide: string = declaredWide.assets.ui["close.png"];
export const id: number = nestedId.ui.close;
export const idDeclared: 2 = declaredId.ui.close;
export const picture: Content = content.assets.words.end;
export const pictureDeclared: Content = declaredContent["assets/words/end"];

type Key = keyof typeof declared;
export const keys: Key[] = ["it's", 'say "hi"', "été", "words/while", "👩‍👩‍👧 😀", "a.b" as Key];

declare const button: ImageButton;
button.Image = declaredWide.assets.ui["close.png"];
