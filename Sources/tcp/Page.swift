internal import TCPSimulator
internal import TCPTrace

/// A page of text: headings, paragraphs, ladders, results.
struct Page {
    let style: Ladder.Style
    private(set) var lines: [String] = []

    init(_ style: Ladder.Style) { self.style = style }

    var language: Language { style.language }

    mutating func heading(_ text: String) {
        if !lines.isEmpty { lines.append("") }
        lines.append(style.usesColor ? "\u{1B}[1m\(text)\u{1B}[0m" : text)
    }

    mutating func paragraph(_ phrase: Phrase) {
        lines.append("")
        lines += phrase[language].wrapped(to: style.width)
    }

    mutating func entry(_ term: String, _ phrase: Phrase, termWidth: Int = 14) {
        let space = String(repeating: " ", count: termWidth)
        for (number, line) in phrase[language].wrapped(to: style.width - termWidth).enumerated() {
            lines.append((number == 0 ? term.padded(to: termWidth) : space) + line)
        }
    }

    mutating func blank() { lines.append("") }

    mutating func ladder(_ part: ScenePart, foldsRunsOf: Int?, foldsLosses: Bool) {
        var style = style
        style.foldsRunsOf = foldsRunsOf
        style.foldsLosses = foldsLosses
        lines += Ladder(part.trace, left: part.left, right: part.right, style: style).lines()
    }

    mutating func checks(_ checks: [SceneCheck]) {
        for check in checks {
            let mark = check.holds ? "✓" : "✗"
            for (number, line) in check.claim[language].wrapped(to: style.width - 4).enumerated() {
                lines.append((number == 0 ? "  \(mark) " : "    ") + line)
            }
        }
    }

    /// What every ladder's lines mean.
    mutating func legend() {
        entry(
            "Seq, Ack",
            Phrase(
                "the number of the segment's first octet, and the next number its sender expects. The first is the raw one; (rel n) counts from the beginning of that direction.",
                "本报文段第一个字节的序号，以及发送者期待的下一个序号。前面是原始值，“相对”值从该方向的起点数起。"))
        entry(
            "Len, Win",
            Phrase(
                "octets of data, and octets the sender has room to receive.", "数据的字节数，以及发送者还能接收的字节数。"))
        entry(
            "SYN-SENT …",
            Phrase(
                "the state of each end, beside its clock: of the sender when it sends, of the receiver after it has received.",
                "两端各自的状态，写在各自的时钟旁边：发送方是发送时的状态，接收方是收到之后的状态。"))
    }
}
