/// The text between `%{` and `}%`: statements about the connection.
public struct CodeBlock: Equatable, Sendable {
    /// The statements in order.
    public var statements: [Statement]

    /// Makes a block.
    public init(statements: [Statement]) { self.statements = statements }

    /// One statement and where it stands.
    public struct Statement: Equatable, Sendable {
        /// Where its first word stands.
        public var position: SourcePosition
        /// What it does.
        public var kind: Kind

        /// Makes a statement.
        public init(position: SourcePosition, kind: Kind) {
            self.position = position
            self.kind = kind
        }
    }

    /// What a statement does.
    public enum Kind: Equatable, Sendable {
        /// Fails the script unless the condition holds; the message says more.
        case assert(CodeExpression, message: CodeExpression?)
        /// Adds the values to what the script prints.
        case print([CodeExpression])
        /// Gives a value a name for the statements to come.
        case assign(String, CodeExpression)
        /// Evaluates, and drops the value.
        case evaluate(CodeExpression)
        /// Nothing.
        case pass
    }
}

/// An expression in a `%{ … }%` block.
public indirect enum CodeExpression: Equatable, Sendable {
    /// A number without a fraction.
    case integer(Int64)
    /// A number with one.
    case number(Double)
    /// A string.
    case string(String)
    /// `True` or `False`.
    case boolean(Bool)
    /// `None`.
    case none
    /// A field of `tcp_info`, a constant, or a name given before.
    case name(String)
    /// A minus sign, `~`, `+` or `not`.
    case unary(String, CodeExpression)
    /// Arithmetic.
    case binary(String, CodeExpression, CodeExpression)
    /// `and` or `or`.
    case logical(String, CodeExpression, CodeExpression)
    /// `a <= b < c`: the first operand, then each operator with its right side.
    case comparison(CodeExpression, [Link])
    /// `a if condition else b`.
    case conditional(CodeExpression, condition: CodeExpression, otherwise: CodeExpression)
    /// `abs(x)`.
    case call(String, [CodeExpression])
    /// `(a, b)` or `[a, b]`.
    case tuple([CodeExpression])

    /// One step of a chained comparison.
    public struct Link: Equatable, Sendable {
        /// `==`, `!=`, `<`, `<=`, `>`, `>=`, `in` or `not in`.
        public var comparison: String
        /// The right side.
        public var operand: CodeExpression

        /// Makes a step.
        public init(_ comparison: String, _ operand: CodeExpression) {
            self.comparison = comparison
            self.operand = operand
        }
    }
}
