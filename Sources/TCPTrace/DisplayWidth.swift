/// Columns a character takes in a terminal.
public enum DisplayWidth {
    /// 0 for combining marks, 2 for East Asian wide and fullwidth characters, 1 for the rest.
    public static func of(_ scalar: Unicode.Scalar) -> Int {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x300...0x36F, 0x200B...0x200F, 0xFE00...0xFE0F: 0
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
            0xFF01...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F900...0x1F9FF, 0x20000...0x3FFFD:
            2
        default: 1
        }
    }

    /// Columns that `text` takes.
    public static func of(_ text: some StringProtocol) -> Int {
        text.unicodeScalars.reduce(0) { $0 + of($1) }
    }
}

extension String {
    /// The string followed by spaces up to `columns` columns.
    public func padded(to columns: Int) -> String {
        self + String(repeating: " ", count: max(0, columns - DisplayWidth.of(self)))
    }

    /// The string behind spaces up to `columns` columns.
    public func rightAligned(to columns: Int) -> String {
        String(repeating: " ", count: max(0, columns - DisplayWidth.of(self))) + self
    }

    /// The string broken into lines of at most `columns` columns: between words, or between two wide characters, but
    /// never before a closing or after an opening mark.
    public func wrapped(to columns: Int) -> [String] {
        var lines: [String] = []
        var line = ""
        var width = 0
        for token in LineBreaks.tokens(of: self) {
            let tokenWidth = DisplayWidth.of(token)
            if width + DisplayWidth.of(token.trimmingTrailingSpaces()) > columns, width > 0 {
                lines.append(line.trimmingTrailingSpaces())
                line = ""
                width = 0
            }
            line += token
            width += tokenWidth
        }
        let last = line.trimmingTrailingSpaces()
        if !last.isEmpty || lines.isEmpty { lines.append(last) }
        return lines
    }

    func trimmingTrailingSpaces() -> String {
        var result = self
        while result.last == " " { result.removeLast() }
        return result
    }
}

/// Where a line may end.
enum LineBreaks {
    private static let noBreakBefore: Set<Character> = [
        "，", "。", "；", "：", "、", "）", "」", "』", "》", "？", "！", "”", "’", ")", ",", ".", ";", ":", "%", "…",
    ]
    private static let noBreakAfter: Set<Character> = ["（", "「", "『", "《", "“", "‘", "("]

    /// Pieces that stay together; a line may end after each.
    static func tokens(of text: String) -> [String] {
        var tokens: [String] = []
        var token = ""
        var previous: Character?
        for character in text {
            if let last = previous, mayBreak(between: last, and: character) {
                tokens.append(token)
                token = ""
            }
            token.append(character)
            previous = character
        }
        if !token.isEmpty { tokens.append(token) }
        return tokens
    }

    private static func mayBreak(between left: Character, and right: Character) -> Bool {
        if noBreakBefore.contains(right) || noBreakAfter.contains(left) || right == " " { return false }
        return left == " " || DisplayWidth.of(String(left)) == 2 || DisplayWidth.of(String(right)) == 2
    }
}
