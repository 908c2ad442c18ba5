/**
 * JSON with a line for each value. Each value stays as it was written: a number of 20 digits does too, which JSON.parse would round. What is
 * no JSON comes back as it is.
 */
export function indented(text: string): string {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  // Texts, empty lists and objects, brackets and commas, and all between them.
  return text
    .trim()
    .replace(
      /("(?:[^"\\]|\\.)*")|(\[\s*\]|\{\s*\})|([[{])|([\]}])|(,)|(:)|\s+/g,
      (_, quoted?: string, hollow?: string, opening?: string, closing?: string, comma?: string, colon?: string) => {
        if (quoted !== undefined) return quoted;
        if (hollow !== undefined) return hollow.replace(/\s+/g, "");
        if (opening !== undefined) {
          depth += 1;
          return opening + line();
        }
        if (closing !== undefined) {
          depth -= 1;
          return line() + closing;
        }
        if (comma !== undefined) return comma + line();
        return colon === undefined ? "" : ": ";
      },
    );
}
