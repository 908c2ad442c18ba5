/** Server-sent events from bytes, wherever those are cut: https://html.spec.whatwg.org/multipage/server-sent-events.html */

export class EventReader {
  private readonly decoder = new TextDecoder(); // leaves out a byte order mark
  private rest = "";
  private afterReturn = false; // the last piece ended in CR: an LF that comes now belongs to it
  private data: string[] = [];

  /** The data of each event that is whole now. */
  feed(bytes: Uint8Array): string[] {
    return this.take(this.decoder.decode(bytes, { stream: true }));
  }

  /** What the stream ended with: an event without the empty line after it counts, as some providers leave that out. */
  close(): string[] {
    const last = this.take(`${this.decoder.decode()}\n\n`);
    this.rest = "";
    return last;
  }

  private take(piece: string): string[] {
    const text = this.afterReturn && piece.startsWith("\n") ? piece.slice(1) : piece;
    if (piece === "") return [];
    this.afterReturn = piece.endsWith("\r");
    const lines = (this.rest + text).split(/\r\n|\r|\n/);
    this.rest = lines.pop() ?? "";
    return lines.flatMap((line) => this.line(line));
  }

  private line(line: string): string[] {
    if (line === "") {
      const whole = this.data.length ? [this.data.join("\n")] : [];
      this.data = [];
      return whole;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    if (field === "data") this.data.push(colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, ""));
    return [];
  }
}
