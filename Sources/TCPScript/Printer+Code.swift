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
    /// The expression as a script writes it, with a parenthesis only where the order asks for one: so it is no deeper than the text
    /// that it was read from.
    public var text: String {
        switch self {
        case .integer(let value): String(value)
        case .number(let value): String(value)
        case .string(let text): Expression.quoted(text)
        case .boolean(let value): value ? "True" : "False"
        case .none: "None"
        case .name(let name): name
        case .unary(let symbol, let value):
            symbol == "not" ? "not \(value.text(above: 3))" : "\(symbol)\(value.text(above: 11))"
        case .binary("**", let left, let right): "\(left.text(above: 13)) ** \(right.text(above: 11))"
        case .binary(let symbol, let left, let right), .logical(let symbol, let left, let right):
            "\(left.text(above: rank)) \(symbol) \(right.text(above: rank + 1))"
        case .comparison(let first, let links):
            first.text(above: 5) + links.map { " \($0.comparison) \($0.operand.text(above: 5))" }.joined()
        case .conditional(let value, let condition, let otherwise):
            "\(value.text(above: 1)) if \(condition.text(above: 1)) else \(otherwise.text)"
        case .call(let name, let arguments): "\(name)(\(arguments.map(\.text).joined(separator: ", ")))"
        case .tuple(let values):
            "(\(values.map(\.text).joined(separator: ", "))" + (values.count == 1 ? ",)" : ")")
        }
    }

    /// How tightly the outermost operator binds.
    private var rank: Int {
        switch self {
        case .conditional: 0
        case .logical(let symbol, _, _): symbol == "or" ? 1 : 2
        case .unary(let symbol, _): symbol == "not" ? 3 : 11
        case .comparison: 4
        case .binary(let symbol, _, _):
            ["|": 5, "^": 6, "&": 7, "<<": 8, ">>": 8, "+": 9, "-": 9, "**": 12][symbol] ?? 10
        default: 13
        }
    }

    /// The expression where only one that binds at least as tightly may stand without a parenthesis.
    private func text(above rank: Int) -> String { self.rank < rank ? "(\(text))" : text }
}
