extension CodeBlock {
    /// The block as a script writes it, on one line.
    public var text: String { "%{ \(statements.map(\.text).joined(separator: "; ")) }%" }
}

extension CodeBlock.Statement {
    /// The statement as a script writes it.
    public var text: String {
        switch kind {
        case .assert(let condition, let message):
            "assert \(condition.text)" + (message.map { ", \($0.text)" } ?? "")
        case .print(let values): "print \(values.map(\.text).joined(separator: ", "))"
        case .assign(let name, let value): "\(name) = \(value.text)"
        case .evaluate(let value): value.text
        case .pass: "pass"
        }
    }
}

extension CodeExpression {
    /// The expression as a script writes it, with a parenthesis wherever the order could be in doubt.
    public var text: String {
        switch self {
        case .integer(let value): String(value)
        case .number(let value): String(value)
        case .string(let text): Expression.quoted(text)
        case .boolean(let value): value ? "True" : "False"
        case .none: "None"
        case .name(let name): name
        case .unary(let symbol, let value): symbol == "not" ? "not \(value.inner)" : "\(symbol)\(value.inner)"
        case .binary(let symbol, let left, let right), .logical(let symbol, let left, let right):
            "\(left.inner) \(symbol) \(right.inner)"
        case .comparison(let first, let links):
            first.inner + links.map { " \($0.comparison) \($0.operand.inner)" }.joined()
        case .conditional(let value, let condition, let otherwise):
            "\(value.inner) if \(condition.inner) else \(otherwise.inner)"
        case .call(let name, let arguments): "\(name)(\(arguments.map(\.text).joined(separator: ", ")))"
        case .tuple(let values):
            "(\(values.map(\.text).joined(separator: ", "))" + (values.count == 1 ? ",)" : ")")
        }
    }

    /// The expression as part of another one.
    private var inner: String {
        switch self {
        case .unary, .binary, .logical, .comparison, .conditional: "(\(text))"
        default: text
        }
    }
}
