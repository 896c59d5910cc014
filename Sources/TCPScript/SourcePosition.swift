/// A place in a script.
public struct SourcePosition: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The line, from 1.
    public var line: Int
    /// The column in octets, from 1.
    public var column: Int

    /// Makes a position; both count from 1.
    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    /// Whether `left` comes before `right` in the text.
    public static func < (left: SourcePosition, right: SourcePosition) -> Bool {
        (left.line, left.column) < (right.line, right.column)
    }

    /// `line:column`.
    public var description: String { "\(line):\(column)" }
}

/// What is wrong with a script's text, and where.
public struct ScriptError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The script's name, as it was given to the parser.
    public var file: String
    /// Where reading stopped.
    public var position: SourcePosition
    /// One clause: what was expected there and what stands there instead.
    public var message: String

    /// Makes an error.
    public init(file: String, position: SourcePosition, message: String) {
        self.file = file
        self.position = position
        self.message = message
    }

    /// `file:line:column: message`.
    public var description: String { "\(file):\(position): \(message)" }
}
