/// Reads a script's octets from left to right. What a token is depends on the place (`.1` is a time, `.` a flag), so there is
/// no table of tokens: the parser asks for what may stand here.
struct Scanner {
    let file: String
    private let bytes: [UInt8]
    private(set) var offset = 0
    private var line = 1
    private var lineStart = 0

    init(_ text: some Sequence<UInt8>, file: String) {
        bytes = Array(text)
        self.file = file
    }

    var position: SourcePosition { SourcePosition(line: line, column: offset - lineStart + 1) }

    var isAtEnd: Bool { offset >= bytes.count }

    /// The octet here, or `ahead` octets on; zero behind the end.
    func byte(_ ahead: Int = 0) -> UInt8 { offset + ahead < bytes.count ? bytes[offset + ahead] : 0 }

    mutating func advance(_ count: Int = 1) {
        for _ in 0..<count where offset < bytes.count {
            if bytes[offset] == UInt8(ascii: "\n") {
                line += 1
                lineStart = offset + 1
            }
            offset += 1
        }
    }

    /// Goes back one octet within the line.
    mutating func back() { offset -= 1 }

    // MARK: Blanks

    /// Passes over blanks, newlines and comments.
    mutating func skipBlanks() throws(ScriptError) {
        while !isAtEnd {
            switch (byte(), byte(1)) {
            case (UInt8(ascii: " "), _), (UInt8(ascii: "\t"), _), (UInt8(ascii: "\r"), _), (UInt8(ascii: "\n"), _):
                advance()
            case (UInt8(ascii: "/"), UInt8(ascii: "/")), (UInt8(ascii: "#"), _): skipLine()
            case (UInt8(ascii: "/"), UInt8(ascii: "*")):
                let start = position
                advance(2)
                while !isAtEnd, !(byte() == UInt8(ascii: "*") && byte(1) == UInt8(ascii: "/")) { advance() }
                guard !isAtEnd else { throw error("a comment begins here and has no end, '*/'", at: start) }
                advance(2)
            default: return
            }
        }
    }

    /// Passes over blanks within the line.
    mutating func skipSpaces() {
        while byte() == UInt8(ascii: " ") || byte() == UInt8(ascii: "\t") { advance() }
    }

    mutating func skipLine() {
        while !isAtEnd, byte() != UInt8(ascii: "\n") { advance() }
    }

    /// The words of the comment that stands here, if one does.
    var heading: String {
        guard isNext("//") else { return "" }
        var start = offset + 2
        while start < bytes.count, bytes[start] == UInt8(ascii: " ") { start += 1 }
        var end = start
        while end < bytes.count, bytes[end] != UInt8(ascii: "\n") { end += 1 }
        while end > start, bytes[end - 1] <= UInt8(ascii: " ") { end -= 1 }
        return String(decoding: bytes[start..<end], as: UTF8.self)
    }

    // MARK: Tokens

    func isNext(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard offset + count <= bytes.count else { return false }
        return text.withUTF8Buffer { wanted in
            for index in 0..<count where bytes[offset + index] != wanted[index] { return false }
            return true
        }
    }

    /// Takes the text if it stands here.
    mutating func take(_ text: StaticString) -> Bool {
        guard isNext(text) else { return false }
        advance(text.utf8CodeUnitCount)
        return true
    }

    /// Takes the text, after blanks, or says that it was expected.
    mutating func expect(_ text: StaticString, _ why: String = "") throws(ScriptError) {
        try skipBlanks()
        guard take(text) else { throw expected("'\(text)'" + (why.isEmpty ? "" : " " + why)) }
    }

    static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || byte == UInt8(ascii: "_")
    }

    static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// The word that starts here: letters, digits and underscores; empty when none does.
    func peekWord() -> String {
        guard Scanner.isLetter(byte()) else { return "" }
        var end = offset
        while end < bytes.count, Scanner.isLetter(bytes[end]) || Scanner.isDigit(bytes[end]) { end += 1 }
        return String(decoding: bytes[offset..<end], as: UTF8.self)
    }

    mutating func takeWord() -> String? {
        let word = peekWord()
        guard !word.isEmpty else { return nil }
        advance(word.utf8.count)
        return word
    }

    /// Takes the word if it is the one that stands here.
    mutating func takeWord(_ word: String) -> Bool {
        guard peekWord() == word else { return false }
        advance(word.utf8.count)
        return true
    }

    /// A run of octets for which `condition` holds.
    mutating func takeWhile(_ condition: (UInt8) -> Bool) -> String {
        let start = offset
        while !isAtEnd, condition(byte()) { advance() }
        return String(decoding: bytes[start..<offset], as: UTF8.self)
    }

    /// A decimal or `0x` number up to `limit`, without a sign.
    mutating func number(_ what: String, limit: UInt64 = UInt64(Int64.max)) throws(ScriptError) -> UInt64 {
        let start = position
        let isHexadecimal = byte() == UInt8(ascii: "0") && byte(1) | 0x20 == UInt8(ascii: "x")
        if isHexadecimal { advance(2) }
        let radix: UInt64 = isHexadecimal ? 16 : 10
        var value: UInt64 = 0
        var digits = 0
        while let digit = Scanner.digit(byte(), radix: radix) {
            let (product, overflow) = value.multipliedReportingOverflow(by: radix)
            let (sum, carry) = product.addingReportingOverflow(digit)
            guard !overflow, !carry, sum <= limit else {
                throw error("expected \(what), which is at most \(limit)", at: start)
            }
            value = sum
            digits += 1
            advance()
        }
        guard digits > 0 else { throw expected(what) }
        return value
    }

    static func digit(_ byte: UInt8, radix: UInt64) -> UInt64? {
        if isDigit(byte) { return UInt64(byte - UInt8(ascii: "0")) }
        let lower = byte | 0x20
        guard radix == 16, (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(lower) else { return nil }
        return UInt64(lower - UInt8(ascii: "a") + 10)
    }

    /// Seconds with up to nine digits behind the point, in nanoseconds: `1`, `.1`, `0.250`.
    mutating func seconds() throws(ScriptError) -> Int64 {
        let start = position
        var whole: Int64 = 0
        var fraction: Int64 = 0
        var digits = 0
        while Scanner.isDigit(byte()) {
            whole = whole * 10 + Int64(byte() - UInt8(ascii: "0"))
            guard whole < 4_000_000_000 else { throw error("expected a time below 4000000000 seconds", at: start) }
            digits += 1
            advance()
        }
        // Two points are the start of an ellipsis, not of a fraction.
        if byte() == UInt8(ascii: "."), Scanner.isDigit(byte(1)) {
            advance()
            var scale: Int64 = 100_000_000
            while Scanner.isDigit(byte()) {
                fraction += Int64(byte() - UInt8(ascii: "0")) * scale
                scale /= 10
                digits += 1
                advance()
            }
        } else if byte() == UInt8(ascii: "."), byte(1) != UInt8(ascii: "."), digits > 0 {
            advance()
        }
        guard digits > 0 else { throw expected("a time in seconds") }
        return whole * 1_000_000_000 + fraction
    }

    /// What stands between two double (or single) quotation marks; a backslash takes the next octet as it is, `\n` and `\t` apart.
    mutating func quoted() throws(ScriptError) -> String {
        let start = position
        let mark = byte()
        advance()
        var text: [UInt8] = []
        while !isAtEnd, byte() != mark {
            if byte() == UInt8(ascii: "\\") {
                advance()
                switch byte() {
                case UInt8(ascii: "n"): text.append(UInt8(ascii: "\n"))
                case UInt8(ascii: "t"): text.append(UInt8(ascii: "\t"))
                default: text.append(byte())
                }
            } else {
                text.append(byte())
            }
            advance()
        }
        guard !isAtEnd else { throw error("a string begins here and has no end", at: start) }
        advance()
        return String(decoding: text, as: UTF8.self)
    }

    // MARK: Errors

    func error(_ message: String, at place: SourcePosition? = nil) -> ScriptError {
        ScriptError(file: file, position: place ?? position, message: message)
    }

    func expected(_ what: String) -> ScriptError { error("expected \(what), found \(found)") }

    /// What stands here, in few characters.
    private var found: String {
        if isAtEnd { return "the end of the script" }
        if byte() == UInt8(ascii: "\n") || byte() == UInt8(ascii: "\r") { return "the end of the line" }
        let word = peekWord()
        if !word.isEmpty { return "'\(word.prefix(24))'" }
        var end = offset
        while end < bytes.count, end - offset < 12, bytes[end] > UInt8(ascii: " ") { end += 1 }
        return "'\(String(decoding: bytes[offset..<max(end, offset + 1)], as: UTF8.self))'"
    }
}
