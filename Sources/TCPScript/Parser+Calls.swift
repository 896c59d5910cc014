extension Parser {
    /// `name(arguments) = result ERROR (note)`, with `...end` in front for a call that blocks.
    mutating func call() throws(ScriptError) -> SocketCall {
        var end: Int64?
        if scanner.take("...") {
            try scanner.skipBlanks()
            end = try scanner.seconds()
            try scanner.skipBlanks()
        }
        let position = scanner.position
        guard let name = scanner.takeWord() else { throw scanner.expected("the name of a system call") }
        try scanner.expect("(", "behind the name of a system call")
        let arguments = try expressions(closedBy: ")")
        try scanner.expect("=", "and the result of the system call")
        try scanner.skipBlanks()
        var call = SocketCall(
            position: position, name: name, arguments: arguments, end: end, result: try expression())
        try scanner.skipBlanks()
        if scanner.byte() == UInt8(ascii: "E"), let name = scanner.takeWord() { call.errorName = name }
        scanner.skipSpaces()
        if scanner.isNext("(") { call.note = try note() }
        return call
    }

    /// `(words)`: parentheses may stand in them, in pairs.
    private mutating func note() throws(ScriptError) -> String {
        let start = scanner.position
        scanner.advance()
        var depth = 1
        let text = scanner.takeWhile { byte in
            if byte == UInt8(ascii: "(") { depth += 1 }
            if byte == UInt8(ascii: ")") { depth -= 1 }
            return depth > 0 && byte != UInt8(ascii: "\n")
        }
        guard scanner.take(")") else { throw scanner.error("a note begins here and has no end, ')'", at: start) }
        return text
    }

    /// Expressions between commas, up to and with `closing`.
    mutating func expressions(closedBy closing: StaticString) throws(ScriptError) -> [Expression] {
        var list: [Expression] = []
        try scanner.skipBlanks()
        if scanner.take(closing) { return list }
        while true {
            list.append(try expression())
            try scanner.skipBlanks()
            if scanner.take(closing) { return list }
            guard scanner.take(",") else { throw scanner.expected("',' or '\(closing)'") }
        }
    }

    mutating func expression() throws(ScriptError) -> Expression {
        try scanner.skipBlanks()
        var left = try operand()
        try scanner.skipBlanks()
        var count = 0
        while scanner.isNext("|") {
            count += 1
            guard count < 64 else { throw scanner.error("expected at most 64 values joined by '|'") }
            scanner.advance()
            try scanner.skipBlanks()
            left = .union(left, try operand())
            try scanner.skipBlanks()
        }
        return left
    }

    private mutating func operand() throws(ScriptError) -> Expression {
        if scanner.take("...") { return .ellipsis }
        switch scanner.byte() {
        case UInt8(ascii: "\""): return .string(try scanner.quoted())
        case UInt8(ascii: "["):
            try nest()
            defer { depth -= 1 }
            scanner.advance()
            return .list(try expressions(closedBy: "]"))
        case UInt8(ascii: "{"):
            try nest()
            defer { depth -= 1 }
            scanner.advance()
            return .structure(try fields())
        case UInt8(ascii: "-"):
            scanner.advance()
            let isHexadecimal = scanner.isNext("0x")
            return .integer(-Int64(try scanner.number("a number")), isHexadecimal: isHexadecimal)
        case let byte where Scanner.isDigit(byte):
            let isHexadecimal = scanner.isNext("0x") || scanner.isNext("0X")
            return .integer(
                Int64(bitPattern: try scanner.number("a number", limit: .max)), isHexadecimal: isHexadecimal)
        default:
            guard let word = scanner.takeWord() else {
                throw scanner.expected("a value: a number, a name, '...', '[', '{' or a string")
            }
            guard scanner.take("(") else { return .symbol(word) }
            try nest()
            defer { depth -= 1 }
            return .call(word, try expressions(closedBy: ")"))
        }
    }

    /// Brackets within brackets, as deep as any structure of the system calls needs.
    mutating func nest() throws(ScriptError) {
        guard depth < 32 else { throw scanner.error("expected at most 32 brackets within one another") }
        depth += 1
    }

    /// The fields of a structure, up to and with the brace.
    private mutating func fields() throws(ScriptError) -> [Expression.Field] {
        var fields: [Expression.Field] = []
        try scanner.skipBlanks()
        if scanner.take("}") { return fields }
        while true {
            fields.append(try field())
            try scanner.skipBlanks()
            if scanner.take("}") { return fields }
            guard scanner.take(",") else { throw scanner.expected("',' or '}'") }
        }
    }

    private mutating func field() throws(ScriptError) -> Expression.Field {
        let value = try expression()
        try scanner.skipBlanks()
        guard scanner.isNext("="), scanner.byte(1) != UInt8(ascii: "=") else { return .init(value: value) }
        switch value {
        case .symbol(let name):
            scanner.advance()
            return .init(name: name, value: try expression())
        case .call(let name, let arguments) where arguments.count == 1:
            scanner.advance()
            return .init(name: name, argument: arguments[0], value: try expression())
        default: throw scanner.expected("the name of a field before '='")
        }
    }
}
