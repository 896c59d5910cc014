extension Parser {
    /// `%{ statements }%`: a statement ends with its line, or at a semicolon; lines go on within parentheses.
    mutating func code() throws(ScriptError) -> CodeBlock {
        let start = scanner.position
        guard scanner.take("%{") else { throw scanner.expected("'%{'") }
        var block = CodeBlock(statements: [])
        while true {
            skipCodeLines()
            while scanner.take(";") { skipCodeLines() }
            if scanner.take("}%") { return block }
            guard !scanner.isAtEnd else {
                throw scanner.error("a code block begins here and has no end, '}%'", at: start)
            }
            block.statements.append(try statement())
            try skipCodeBlanks()
            guard
                scanner.isNext("}%") || scanner.isNext(";") || scanner.isNext("\n") || scanner.isNext("\r")
                    || scanner.isNext("#")
            else { throw scanner.expected("an operator, ';', the end of the line or '}%'") }
        }
    }

    /// Blanks within a statement; newlines too where a parenthesis is open.
    private mutating func skipCodeBlanks() throws(ScriptError) {
        if depth > 0 { return skipCodeLines() }
        scanner.skipSpaces()
        while scanner.isNext("\\\n") {
            scanner.advance(2)
            scanner.skipSpaces()
        }
    }

    /// Blanks, newlines and comments, which begin with `#` here: `//` divides.
    private mutating func skipCodeLines() {
        while true {
            scanner.skipSpaces()
            if scanner.isNext("\n") || scanner.isNext("\r") {
                scanner.advance()
            } else if scanner.isNext("#") {
                scanner.skipLine()
            } else {
                return
            }
        }
    }

    private mutating func statement() throws(ScriptError) -> CodeBlock.Statement {
        let position = scanner.position
        operators = 0
        if scanner.takeWord("pass") { return .init(position: position, kind: .pass) }
        if scanner.takeWord("assert") {
            let condition = try codeExpression()
            let message = scanner.take(",") ? try codeExpression() : nil
            return .init(position: position, kind: .assert(condition, message: message))
        }
        if scanner.takeWord("print") {
            var values = [try codeExpression()]
            while scanner.take(",") { values.append(try codeExpression()) }
            // `print (a, b)` is a call, and prints the two.
            if values.count == 1, case .tuple(let inner) = values[0] { values = inner }
            return .init(position: position, kind: .print(values))
        }
        let expression = try codeExpression()
        if case .name(let name) = expression, scanner.isNext("="), scanner.byte(1) != UInt8(ascii: "=") {
            scanner.advance()
            return .init(position: position, kind: .assign(name, try codeExpression()))
        }
        return .init(position: position, kind: .evaluate(expression))
    }

    // MARK: Expressions, from the loosest operator to the tightest

    private mutating func codeExpression() throws(ScriptError) -> CodeExpression {
        try descend()
        defer { descents -= 1 }
        let value = try disjunction()
        guard scanner.takeWord("if") else { return value }
        let condition = try disjunction()
        guard scanner.takeWord("else") else { throw scanner.expected("'else'") }
        return .conditional(value, condition: condition, otherwise: try codeExpression())
    }

    private mutating func disjunction() throws(ScriptError) -> CodeExpression {
        var left = try conjunction()
        while scanner.takeWord("or") {
            try countOperator()
            left = .logical("or", left, try conjunction())
        }
        return left
    }

    private mutating func conjunction() throws(ScriptError) -> CodeExpression {
        var left = try negation()
        while scanner.takeWord("and") {
            try countOperator()
            left = .logical("and", left, try negation())
        }
        return left
    }

    private mutating func negation() throws(ScriptError) -> CodeExpression {
        try skipCodeBlanks()
        if scanner.takeWord("not") {
            try descend()
            defer { descents -= 1 }
            return .unary("not", try negation())
        }
        return try comparison()
    }

    private mutating func comparison() throws(ScriptError) -> CodeExpression {
        let first = try binary(level: 0)
        var links: [CodeExpression.Link] = []
        while let symbol = try comparisonSymbol() { links.append(.init(symbol, try binary(level: 0))) }
        return links.isEmpty ? first : .comparison(first, links)
    }

    private mutating func comparisonSymbol() throws(ScriptError) -> String? {
        try skipCodeBlanks()
        if scanner.take("==") { return "==" }
        if scanner.take("!=") { return "!=" }
        if scanner.take("<=") { return "<=" }
        if scanner.take(">=") { return ">=" }
        if scanner.isNext("<"), !scanner.isNext("<<") {
            scanner.advance()
            return "<"
        }
        if scanner.isNext(">"), !scanner.isNext(">>") {
            scanner.advance()
            return ">"
        }
        if scanner.takeWord("in") { return "in" }
        if scanner.takeWord("not") {
            try skipCodeBlanks()
            guard scanner.takeWord("in") else { throw scanner.expected("'in' behind 'not'") }
            return "not in"
        }
        return nil
    }

    private static let levels: [[StaticString]] = [
        ["|"], ["^"], ["&"], ["<<", ">>"], ["+", "-"], ["*", "//", "/", "%"],
    ]

    private mutating func binary(level: Int) throws(ScriptError) -> CodeExpression {
        guard level < Parser.levels.count else { return try unary() }
        var left = try binary(level: level + 1)
        while true {
            try skipCodeBlanks()
            // `}%` ends the block and `**` binds tighter: neither is an operator of this level.
            guard let symbol = Parser.levels[level].first(where: { scanner.isNext($0) }), !scanner.isNext("**") else {
                return left
            }
            try countOperator()
            scanner.advance(symbol.utf8CodeUnitCount)
            left = .binary("\(symbol)", left, try binary(level: level + 1))
        }
    }

    private mutating func unary() throws(ScriptError) -> CodeExpression {
        try skipCodeBlanks()
        for symbol in ["-", "~", "+"] as [StaticString] where scanner.isNext(symbol) {
            scanner.advance()
            try descend()
            defer { descents -= 1 }
            return .unary("\(symbol)", try unary())
        }
        let base = try primary()
        try skipCodeBlanks()
        guard scanner.take("**") else { return base }
        try descend()
        defer { descents -= 1 }
        return .binary("**", base, try unary())
    }

    /// Keeps hostile text from exhausting the stack.
    private mutating func descend() throws(ScriptError) {
        guard descents < 64 else { throw scanner.error("expected an expression at most 64 deep") }
        descents += 1
    }

    /// Keeps a row of operators, which becomes a tree as deep, from growing without end.
    private mutating func countOperator() throws(ScriptError) {
        guard operators < 256 else { throw scanner.error("expected at most 256 operators in a statement") }
        operators += 1
    }

    private mutating func primary() throws(ScriptError) -> CodeExpression {
        let byte = scanner.byte()
        if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") { return .string(try scanner.quoted()) }
        if scanner.take("(") { return try parenthesized(closedBy: ")") }
        if scanner.take("[") { return .tuple(try codeArguments(closedBy: "]").0) }
        if Scanner.isDigit(byte) || byte == UInt8(ascii: ".") && Scanner.isDigit(scanner.byte(1)) {
            return try codeNumber()
        }
        guard let word = scanner.takeWord() else { throw scanner.expected("a value") }
        switch word {
        case "True": return .boolean(true)
        case "False": return .boolean(false)
        case "None": return .none
        default: break
        }
        try skipCodeBlanks()
        return scanner.take("(") ? .call(word, try codeArguments(closedBy: ")").0) : .name(word)
    }

    private mutating func parenthesized(closedBy closing: StaticString) throws(ScriptError) -> CodeExpression {
        let (values, hasComma) = try codeArguments(closedBy: closing)
        return values.count == 1 && !hasComma ? values[0] : .tuple(values)
    }

    private mutating func codeArguments(
        closedBy closing: StaticString
    ) throws(ScriptError) -> ([CodeExpression], hasComma: Bool) {
        try nest()
        defer { depth -= 1 }
        var values: [CodeExpression] = []
        var hasComma = false
        while true {
            try skipCodeBlanks()
            if scanner.take(closing) { return (values, hasComma) }
            values.append(try codeExpression())
            try skipCodeBlanks()
            if scanner.take(closing) { return (values, hasComma) }
            guard scanner.take(",") else { throw scanner.expected("',' or '\(closing)'") }
            hasComma = true
        }
    }

    private mutating func codeNumber() throws(ScriptError) -> CodeExpression {
        let start = scanner.position
        if scanner.isNext("0x") || scanner.isNext("0X") { return .integer(Int64(try scanner.number("a number"))) }
        var text = scanner.takeWhile(Scanner.isDigit)
        var isWhole = true
        if scanner.isNext("."), Scanner.isDigit(scanner.byte(1)) || !text.isEmpty {
            scanner.advance()
            isWhole = false
            text += "." + scanner.takeWhile(Scanner.isDigit)
            if text.hasPrefix(".") { text = "0" + text }
            if text.hasSuffix(".") { text += "0" }
        }
        let sign = scanner.byte(1) == UInt8(ascii: "+") || scanner.byte(1) == UInt8(ascii: "-") ? 1 : 0
        if scanner.byte() | 0x20 == UInt8(ascii: "e"), Scanner.isDigit(scanner.byte(1 + sign)) {
            text += scanner.isNext("e-") || scanner.isNext("E-") ? "e-" : "e"
            scanner.advance(1 + sign)
            isWhole = false
            text += scanner.takeWhile(Scanner.isDigit)
        }
        if isWhole, let value = Int64(text) { return .integer(value) }
        guard !isWhole, let value = Double(text) else { throw scanner.error("expected a number below 2⁶³", at: start) }
        return .number(value)
    }
}
