/// Python's operators, as far as scripts use them. Whole numbers have 64 bits; what does not fit is an error, not a wrap.
enum Arithmetic {
    typealias Fault = Evaluator.Fault

    static func unary(_ symbol: String, _ value: CodeValue) throws(Fault) -> CodeValue {
        if symbol == "not" { return .boolean(!value.isTrue) }
        if case .number(let number) = value, symbol != "~" { return .number(symbol == "-" ? -number : number) }
        guard let number = whole(value) else { throw Fault(message: "'\(symbol)' needs a number, not \(value.text)") }
        switch symbol {
        case "-": return .integer(try fitting(Int64(0).subtractingReportingOverflow(number)))
        case "~": return .integer(~number)
        default: return .integer(number)
        }
    }

    static func binary(_ symbol: String, _ left: CodeValue, _ right: CodeValue) throws(Fault) -> CodeValue {
        if symbol == "%", case .string(let format) = left { return .string(try formatted(format, right)) }
        if symbol == "+", case .string(let first) = left, case .string(let second) = right {
            return .string(first + second)
        }
        if let first = whole(left), let second = whole(right), symbol != "/", symbol != "**" || second >= 0 {
            return .integer(try integers(symbol, first, second))
        }
        guard let first = real(left), let second = real(right) else {
            throw Fault(message: "'\(symbol)' needs numbers, not \(left.text) and \(right.text)")
        }
        if "/ // %".split(separator: " ").contains(Substring(symbol)), second == 0 {
            throw Fault(message: "division by zero")
        }
        switch symbol {
        case "+": return .number(first + second)
        case "-": return .number(first - second)
        case "*": return .number(first * second)
        case "/": return .number(first / second)
        case "//": return .number((first / second).rounded(.down))
        case "%": return .number(first - second * (first / second).rounded(.down))
        default: throw Fault(message: "'\(symbol)' needs whole numbers, not \(left.text) and \(right.text)")
        }
    }

    private static func integers(_ symbol: String, _ left: Int64, _ right: Int64) throws(Fault) -> Int64 {
        switch symbol {
        case "+": return try fitting(left.addingReportingOverflow(right))
        case "-": return try fitting(left.subtractingReportingOverflow(right))
        case "*": return try fitting(left.multipliedReportingOverflow(by: right))
        case "&": return left & right
        case "|": return left | right
        case "^": return left ^ right
        case "<<", ">>":
            guard (0..<64).contains(right) else { throw Fault(message: "a shift by \(right)") }
            if symbol == ">>" { return left >> right }
            guard (left << right) >> right == left else { throw Fault(message: "a number beyond 64 bits") }
            return left << right
        case "**":
            var result: Int64 = 1
            // Anything but 0, 1 and -1 leaves 64 bits long before.
            for _ in 0..<min(right, left.magnitude < 2 ? 2 - right % 2 : 64) {
                result = try fitting(result.multipliedReportingOverflow(by: left))
            }
            return right == 0 ? 1 : result
        default:
            guard right != 0 else { throw Fault(message: "division by zero") }
            let quotient = try fitting(left.dividedReportingOverflow(by: right))
            let remainder = left.remainderReportingOverflow(dividingBy: right).partialValue
            // Python rounds down; the machine rounds to zero.
            let isBelow = remainder != 0 && (remainder < 0) != (right < 0)
            return symbol == "%" ? (isBelow ? remainder + right : remainder) : (isBelow ? quotient - 1 : quotient)
        }
    }

    private static func fitting(_ result: (partialValue: Int64, overflow: Bool)) throws(Fault) -> Int64 {
        guard !result.overflow else { throw Fault(message: "a number beyond 64 bits") }
        return result.partialValue
    }

    static func compare(_ symbol: String, _ left: CodeValue, _ right: CodeValue) throws(Fault) -> Bool {
        switch symbol {
        case "==": return areEqual(left, right)
        case "!=": return !areEqual(left, right)
        case "in", "not in":
            if case .string(let part) = left, case .string(let text) = right {
                return contains(text, part) == (symbol == "in")
            }
            guard case .tuple(let values) = right else {
                throw Fault(message: "'\(symbol)' needs several values on its right")
            }
            return values.contains { areEqual(left, $0) } == (symbol == "in")
        default: break
        }
        if case .string(let first) = left, case .string(let second) = right {
            return isOrdered(symbol, first < second, first == second)
        }
        if let first = whole(left), let second = whole(right) {
            return isOrdered(symbol, first < second, first == second)
        }
        guard let first = real(left), let second = real(right) else {
            throw Fault(message: "'\(symbol)' cannot compare \(left.text) with \(right.text)")
        }
        return isOrdered(symbol, first < second, first == second)
    }

    private static func contains(_ text: String, _ part: String) -> Bool {
        let (text, part) = (Array(text.utf8), Array(part.utf8))
        guard part.count <= text.count else { return false }
        return (0...text.count - part.count).contains { Array(text[$0..<$0 + part.count]) == part }
    }

    private static func isOrdered(_ symbol: String, _ isLess: Bool, _ isEqual: Bool) -> Bool {
        switch symbol {
        case "<": isLess
        case "<=": isLess || isEqual
        case ">": !isLess && !isEqual
        default: !isLess
        }
    }

    private static func areEqual(_ left: CodeValue, _ right: CodeValue) -> Bool {
        if let first = whole(left), let second = whole(right) { return first == second }
        if let first = real(left), let second = real(right) { return first == second }
        return left == right
    }

    static func call(_ name: String, _ arguments: [CodeValue]) throws(Fault) -> CodeValue {
        switch (name, arguments.count) {
        case ("abs", 1):
            if case .number(let value) = arguments[0] { return .number(abs(value)) }
            guard let value = whole(arguments[0]) else { break }
            return .integer(value < 0 ? try fitting(Int64(0).subtractingReportingOverflow(value)) : value)
        case ("int", 1):
            if let value = whole(arguments[0]) { return .integer(value) }
            guard let value = real(arguments[0]), let result = Int64(exactly: value.rounded(.towardZero)) else { break }
            return .integer(result)
        case ("float", 1): if let value = real(arguments[0]) { return .number(value) }
        case ("str", 1): return .string(arguments[0].text)
        case ("min", 1...), ("max", 1...):
            var values = arguments
            if values.count == 1, case .tuple(let inner) = values[0], !inner.isEmpty { values = inner }
            var best = values[0]
            for value in values.dropFirst() where try compare(name == "min" ? "<" : ">", value, best) { best = value }
            return best
        default: throw Fault(message: "there is no function '\(name)' of \(arguments.count) values here")
        }
        throw Fault(message: "\(name)() cannot take \(arguments.map(\.text).joined(separator: ", "))")
    }

    /// `'cwnd=%d' % value`: %d, %i, %u, %s, %r, %x, %f and %%.
    private static func formatted(_ format: String, _ value: CodeValue) throws(Fault) -> String {
        var values: [CodeValue] = [value]
        if case .tuple(let several) = value { values = several }
        var result = ""
        var scalars = format.unicodeScalars.makeIterator()
        while let scalar = scalars.next() {
            guard scalar == "%" else {
                result.unicodeScalars.append(scalar)
                continue
            }
            var kind = scalars.next()
            while let flag = kind, "0123456789.-+ l".unicodeScalars.contains(flag) { kind = scalars.next() }
            if kind == "%" {
                result += "%"
                continue
            }
            guard let kind, "diusrxXfeg".unicodeScalars.contains(kind), !values.isEmpty else {
                throw Fault(message: "'\(format)' does not fit the values behind '%'")
            }
            let next = values.removeFirst()
            switch kind {
            case "x", "X": result += whole(next).map { String($0, radix: 16, uppercase: kind == "X") } ?? next.text
            default: result += next.text
            }
        }
        return result
    }

    private static func whole(_ value: CodeValue) -> Int64? {
        switch value {
        case .integer(let number): number
        case .boolean(let flag): flag ? 1 : 0
        default: nil
        }
    }

    private static func real(_ value: CodeValue) -> Double? {
        if case .number(let number) = value { return number }
        return whole(value).map { Double($0) }
    }
}
