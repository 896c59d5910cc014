/// Reads packet scripts in the language of packetdrill, as its two branches write it.
public struct Parser {
    var scanner: Scanner
    /// How many brackets stand open here.
    var depth = 0
    /// How deep the expression of a code block is here.
    var descents = 0
    /// How many operators the statement of a code block has so far.
    var operators = 0

    private init(_ text: some Sequence<UInt8>, name: String) { scanner = Scanner(text, file: name) }

    /// Reads a whole script.
    ///
    /// - Parameters:
    ///   - text: the script's octets.
    ///   - name: what errors call it, usually its path.
    /// - Throws: `ScriptError`, with the line and column where reading stopped and what was expected there.
    public static func parse(_ text: some Sequence<UInt8>, name: String) throws(ScriptError) -> Script {
        var parser = Parser(text, name: name)
        return try parser.script(name: name)
    }

    /// Reads a whole script.
    ///
    /// - Throws: `ScriptError`, with the line and column where reading stopped and what was expected there.
    public static func parse(_ text: String, name: String) throws(ScriptError) -> Script {
        try parse(text.utf8, name: name)
    }

    private mutating func script(name: String) throws(ScriptError) -> Script {
        var script = Script(name: name)
        script.heading = scanner.heading
        try scanner.skipBlanks()
        while scanner.isNext("--") {
            script.options.append(try option())
            try scanner.skipBlanks()
        }
        while scanner.isNext("`") {
            script.setUp.append(try command())
            try scanner.skipBlanks()
        }
        while !scanner.isAtEnd {
            script.events.append(try event())
            try scanner.skipBlanks()
        }
        guard !script.events.isEmpty else {
            throw scanner.expected("an event, as '0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3'")
        }
        return script
    }

    /// `--name=value`, to the end of the line or a comment.
    private mutating func option() throws(ScriptError) -> ScriptOption {
        let position = scanner.position
        scanner.advance(2)
        guard let name = scanner.takeWord() else { throw scanner.expected("the name of an option behind '--'") }
        var value = ""
        if scanner.take("=") {
            var last = UInt8(ascii: "=")
            value = scanner.takeWhile { byte in
                defer { last = byte }
                // A comment begins behind a blank: a value may be a path.
                return byte != UInt8(ascii: "\n") && !(byte == UInt8(ascii: "/") && last == UInt8(ascii: " "))
            }
            while let last = value.utf8.last, last <= UInt8(ascii: " ") { value.removeLast() }
        }
        return ScriptOption(position: position, name: name, value: value)
    }

    /// `` `command` ``
    private mutating func command() throws(ScriptError) -> ScriptCommand {
        let position = scanner.position
        scanner.advance()
        let text = scanner.takeWhile { $0 != UInt8(ascii: "`") }
        guard scanner.take("`") else { throw scanner.error("a command begins here and has no end, '`'", at: position) }
        return ScriptCommand(position: position, text: text)
    }

    // MARK: Events

    private mutating func event() throws(ScriptError) -> ScriptEvent {
        let position = scanner.position
        let time = try time()
        try scanner.skipBlanks()
        switch scanner.byte() {
        case UInt8(ascii: "<"), UInt8(ascii: ">"):
            return ScriptEvent(position: position, time: time, action: .packet(try packet()))
        case UInt8(ascii: "`"):
            return ScriptEvent(position: position, time: time, action: .command(try command()))
        case UInt8(ascii: "%"):
            return ScriptEvent(position: position, time: time, action: .code(try code()))
        case let byte where Scanner.isLetter(byte) || byte == UInt8(ascii: "."):
            return ScriptEvent(position: position, time: time, action: .call(try call()))
        default:
            throw scanner.expected("a packet ('<' or '>'), a system call, '`' or '%{' behind the time")
        }
    }

    private mutating func time() throws(ScriptError) -> EventTime {
        if scanner.take("*") { return .any }
        guard scanner.isNext("+") || scanner.isNext(".") || Scanner.isDigit(scanner.byte()) else {
            throw scanner.expected("the time of an event, as '0.1', '+.1', '+0~+.2' or '*'")
        }
        let isRelative = scanner.take("+")
        let first = try scanner.seconds()
        let start = scanner.position
        guard scanner.take("~") else { return isRelative ? .relative(first) : .absolute(first) }
        if scanner.take("+") != isRelative {
            throw scanner.error("both ends of a range of times are relative ('+0~+.2'), or neither", at: start)
        }
        let last = try scanner.seconds()
        guard first <= last else { throw scanner.error("a range of times ends before it begins", at: start) }
        return isRelative ? .relativeRange(first, last) : .absoluteRange(first, last)
    }
}
