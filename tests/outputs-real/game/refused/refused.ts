// What the types of Macadam's files must refuse. TypeScript alone looks at it: roblox-ts takes no `@ts-expect-error`.

import { Assets as literal } from "../src/constants/flat-uri-cut-literal";
import declaredWide from "../src/modules/nested-uri";
import declaredId from "../src/modules/nested-id-cut";

// @ts-expect-error no such key
export const missing = literal["ui/open"];

// @ts-expect-error what is declared can't be changed
declaredWide.assets.plain = "rbxassetid://1";

// @ts-expect-error a literal is no other one
export const other: "rbxassetid://3" = literal["ui/close"];

// @ts-expect-error an ID is a number
export const id: string = declaredId.ui.close;
