// Preact with htm: templates that the browser reads as they are, so there is no build step.
import { h } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export { Component, Fragment, render } from "./vendor/preact.js";
export { useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendor/hooks.js";

// Values in a template become text or properties, never markup: a vendor's text cannot add an element.
export const html = htm.bind(h);
