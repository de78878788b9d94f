/** JSON whose numbers are integers, read as `bigint`: `JSON.parse` would lose digits above 2^53. */

export type Json = null | boolean | bigint | string | Json[] | JsonObject;
export interface JsonObject {
  [name: string]: Json;
}

const TOKEN = /\s*([{}[\],:]|"(?:[^"\\]|\\.)*"|-?(?:0|[1-9][0-9]*)(?![0-9.eE])|true|false|null)\s*/y;

/** Throws a `SyntaxError` if the text is not such JSON. */
export function parseJson(text: string): Json {
  let at = 0;
  const wrong = (): never => {
    throw new SyntaxError(`not JSON with integers, at position ${at}`);
  };
  const peek = (): string => {
    TOKEN.lastIndex = at;
    return TOKEN.exec(text)?.[1] ?? wrong();
  };
  const next = (): string => {
    const token = peek();
    at = TOKEN.lastIndex;
    return token;
  };
  const isText = (token: string): boolean => token.startsWith('"');

  /** Elements up to the closing bracket. */
  const elements = (close: string, element: () => void): void => {
    if (peek() === close) return void next();
    for (;;) {
      element();
      const token = next();
      if (token === close) return;
      if (token !== ",") wrong();
    }
  };
  const value = (depth: number): Json => {
    const token = next();
    if (depth > 100) wrong();
    if (isText(token)) return JSON.parse(token) as string;
    if (token === "[") {
      const list: Json[] = [];
      elements("]", () => list.push(value(depth + 1)));
      return list;
    }
    if (token === "{") {
      const object = Object.create(null) as JsonObject;
      elements("}", () => {
        const name = next();
        if (!isText(name) || next() !== ":") wrong();
        object[JSON.parse(name) as string] = value(depth + 1);
      });
      return object;
    }
    if (token === "true" || token === "false") return token === "true";
    if (token === "null") return null;
    return /^-?[0-9]/.test(token) ? BigInt(token) : wrong();
  };

  const json = value(0);
  return at === text.length ? json : wrong();
}

/** The one text of a value: no white space, names sorted by their bytes. */
export function canonicalJson(json: Json): string {
  if (typeof json === "bigint") return json.toString();
  if (Array.isArray(json)) return `[${json.map(canonicalJson).join(",")}]`;
  if (typeof json !== "object" || json === null) return JSON.stringify(json);
  const names = Object.keys(json).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonicalJson(json[name] ?? null)}`).join(",")}}`;
}
