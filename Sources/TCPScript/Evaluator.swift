/// A value of a `%{ … }%` block.
public enum CodeValue: Equatable, Sendable {
    /// A whole number.
    case integer(Int64)
    /// A number.
    case number(Double)
    /// A string.
    case string(String)
    /// True or false.
    case boolean(Bool)
    /// Nothing.
    case none
    /// Several.
    case tuple([CodeValue])

    /// Whether it counts as true, by Python's rule.
    public var isTrue: Bool {
        switch self {
        case .integer(let value): value != 0
        case .number(let value): value != 0
        case .string(let text): !text.isEmpty
        case .boolean(let value): value
        case .none: false
        case .tuple(let values): !values.isEmpty
        }
    }

    /// The value as `print` writes it.
    public var text: String {
        switch self {
        case .integer(let value): String(value)
        case .number(let value): String(value)
        case .string(let text): text
        case .boolean(let value): value ? "True" : "False"
        case .none: "None"
        case .tuple(let values):
            "(\(values.map(\.text).joined(separator: ", "))" + (values.count == 1 ? ",)" : ")")
        }
    }
}

/// Why a `%{ … }%` block failed, and at which statement.
public struct CodeFailure: Error, Equatable, Sendable {
    /// Where the statement stands.
    public var position: SourcePosition
    /// What is wrong.
    public var message: String
    /// The statement does not hold; otherwise it cannot be evaluated here.
    public var isAssertion: Bool
}

/// Evaluates `%{ … }%` blocks. Names that one block gives are known to the next.
public struct Evaluator {
    /// Values by name: what blocks have assigned.
    public var variables: [String: CodeValue] = [:]
    /// What the blocks have printed, a line each.
    public var output: [String] = []

    /// An evaluator without variables.
    public init() {}

    /// Runs a block.
    ///
    /// - Parameter lookup: gives fields of `tcp_info` and constants their values.
    /// - Throws: `CodeFailure` when an assertion does not hold or something cannot be evaluated.
    public mutating func run(_ block: CodeBlock, lookup: (String) -> CodeValue?) throws(CodeFailure) {
        for statement in block.statements {
            do throws(Fault) {
                try run(statement, lookup)
            } catch {
                throw CodeFailure(
                    position: statement.position, message: error.message, isAssertion: error.isAssertion)
            }
        }
    }

    /// What a statement cannot do.
    struct Fault: Error {
        var message: String
        var isAssertion = false
    }

    private mutating func run(
        _ statement: CodeBlock.Statement, _ lookup: (String) -> CodeValue?
    ) throws(Fault) {
        switch statement.kind {
        case .pass: break
        case .evaluate(let expression): _ = try value(expression, lookup)
        case .assign(let name, let expression): variables[name] = try value(expression, lookup)
        case .print(let expressions):
            var words: [String] = []
            for expression in expressions { words.append(try value(expression, lookup).text) }
            output.append(words.joined(separator: " "))
        case .assert(let condition, let message):
            guard !(try value(condition, lookup)).isTrue else { return }
            throw Fault(message: try complaint(condition, message, lookup), isAssertion: true)
        }
    }

    /// The condition, the values of the names in it, and the script's own words.
    private func complaint(
        _ condition: CodeExpression, _ message: CodeExpression?, _ lookup: (String) -> CodeValue?
    ) throws(Fault) -> String {
        var text = "assert \(condition.text) does not hold"
        var names: [String] = []
        condition.collectNames(&names)
        // Constants say nothing new.
        let values = names.compactMap { name -> String? in
            guard let value = variables[name] ?? lookup(name) else { return nil }
            return "\(name) is \(value.text)"
        }
        if !values.isEmpty { text += ": " + values.joined(separator: ", ") }
        if let message, case .name = message {} else if let message { text += " (\(try value(message, lookup).text))" }
        return text
    }

    func value(_ expression: CodeExpression, _ lookup: (String) -> CodeValue?) throws(Fault) -> CodeValue {
        switch expression {
        case .integer(let value): return .integer(value)
        case .number(let value): return .number(value)
        case .string(let text): return .string(text)
        case .boolean(let value): return .boolean(value)
        case .none: return .none
        case .name(let name):
            guard let value = variables[name] ?? lookup(name) else {
                throw Fault(message: "'\(name)' has no value here")
            }
            return value
        case .unary(let symbol, let operand): return try Arithmetic.unary(symbol, try value(operand, lookup))
        case .binary(let symbol, let left, let right):
            return try Arithmetic.binary(symbol, try value(left, lookup), try value(right, lookup))
        case .logical(let symbol, let left, let right):
            let first = try value(left, lookup)
            return first.isTrue == (symbol == "or") ? first : try value(right, lookup)
        case .comparison(let first, let links):
            var left = try value(first, lookup)
            for link in links {
                let right = try value(link.operand, lookup)
                guard try Arithmetic.compare(link.comparison, left, right) else { return .boolean(false) }
                left = right
            }
            return .boolean(true)
        case .conditional(let first, let condition, let otherwise):
            return try value(try value(condition, lookup).isTrue ? first : otherwise, lookup)
        case .tuple(let elements): return .tuple(try values(elements, lookup))
        case .call(let name, let arguments): return try Arithmetic.call(name, try values(arguments, lookup))
        }
    }

    private func values(
        _ expressions: [CodeExpression], _ lookup: (String) -> CodeValue?
    ) throws(Fault) -> [CodeValue] {
        var values: [CodeValue] = []
        for expression in expressions { values.append(try value(expression, lookup)) }
        return values
    }
}

extension CodeExpression {
    /// The names an expression reads, each once, in order.
    func collectNames(_ names: inout [String]) {
        switch self {
        case .name(let name): if !names.contains(name) { names.append(name) }
        case .integer, .number, .string, .boolean, .none: break
        case .unary(_, let value): value.collectNames(&names)
        case .binary(_, let left, let right), .logical(_, let left, let right):
            left.collectNames(&names)
            right.collectNames(&names)
        case .comparison(let first, let links):
            first.collectNames(&names)
            for link in links { link.operand.collectNames(&names) }
        case .conditional(let value, let condition, let otherwise):
            value.collectNames(&names)
            condition.collectNames(&names)
            otherwise.collectNames(&names)
        case .call(_, let values), .tuple(let values): for value in values { value.collectNames(&names) }
        }
    }
}
