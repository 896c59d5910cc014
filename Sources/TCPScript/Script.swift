/// A packet script: what to do to a TCP from outside, and what it must do in return.
public struct Script: Equatable, Sendable {
    /// The name the script was read under, usually a path.
    public var name: String
    /// The words of the comment that the script begins with, `//` and blanks taken away; empty when it begins with something else.
    public var heading = ""
    /// The `--name=value` lines at the top.
    public var options: [ScriptOption]
    /// The commands in backticks before the first event.
    public var setUp: [ScriptCommand]
    /// What happens, in the order of the text.
    public var events: [ScriptEvent]

    /// Makes a script of its parts.
    public init(
        name: String, options: [ScriptOption] = [], setUp: [ScriptCommand] = [], events: [ScriptEvent] = []
    ) {
        self.name = name
        self.options = options
        self.setUp = setUp
        self.events = events
    }
}

/// A `--name=value` line.
public struct ScriptOption: Equatable, Sendable {
    /// Where the line starts.
    public var position: SourcePosition
    /// The name, without the dashes.
    public var name: String
    /// The text after the equals sign; empty where there is none.
    public var value: String

    /// Makes an option.
    public init(position: SourcePosition, name: String, value: String) {
        self.position = position
        self.name = name
        self.value = value
    }
}

/// A shell command in backticks.
public struct ScriptCommand: Equatable, Sendable {
    /// Where its backtick stands.
    public var position: SourcePosition
    /// The text between the backticks.
    public var text: String

    /// Makes a command.
    public init(position: SourcePosition, text: String) {
        self.position = position
        self.text = text
    }
}

/// One event: a time and what happens then.
public struct ScriptEvent: Equatable, Sendable {
    /// Where its time stands.
    public var position: SourcePosition
    /// When it happens, or must happen.
    public var time: EventTime
    /// What happens.
    public var action: Action

    /// What an event does.
    public enum Action: Equatable, Sendable {
        /// A packet goes in or must come out.
        case packet(PacketPattern)
        /// The application calls the socket layer.
        case call(SocketCall)
        /// The shell runs a command.
        case command(ScriptCommand)
        /// A `%{ … }%` block is evaluated.
        case code(CodeBlock)
    }

    /// Makes an event.
    public init(position: SourcePosition, time: EventTime, action: Action) {
        self.position = position
        self.time = time
        self.action = action
    }
}

/// When an event happens. All figures are nanoseconds.
public enum EventTime: Hashable, Sendable {
    /// At a time counted from the script's start.
    case absolute(Int64)
    /// At a time counted from the event before.
    case relative(Int64)
    /// At any time: `*`.
    case any
    /// Between two times counted from the script's start.
    case absoluteRange(Int64, Int64)
    /// Between two times counted from the event before.
    case relativeRange(Int64, Int64)
}

/// A system call with its arguments and what it must return.
public struct SocketCall: Equatable, Sendable {
    /// Where the call's name stands.
    public var position: SourcePosition
    /// The call's name.
    public var name: String
    /// The arguments.
    public var arguments: [Expression]
    /// For a call that blocks, the time it must return, in nanoseconds, counted as the event's own time is.
    public var end: Int64?
    /// What it must return.
    public var result: Expression
    /// The name of the error it must fail with.
    public var errorName: String?
    /// What stands in parentheses behind: words for the reader.
    public var note: String?

    /// Makes a call.
    public init(
        position: SourcePosition, name: String, arguments: [Expression], end: Int64? = nil, result: Expression,
        errorName: String? = nil, note: String? = nil
    ) {
        self.position = position
        self.name = name
        self.arguments = arguments
        self.end = end
        self.result = result
        self.errorName = errorName
        self.note = note
    }
}

/// An argument or a result of a system call.
public indirect enum Expression: Hashable, Sendable {
    /// `...`: whatever is fit going in; anything coming out.
    case ellipsis
    /// A number; `isHexadecimal` is how it was written.
    case integer(Int64, isHexadecimal: Bool)
    /// A named constant.
    case symbol(String)
    /// A string in double quotation marks.
    case string(String)
    /// `a|b`.
    case union(Expression, Expression)
    /// `[a, b]`.
    case list([Expression])
    /// `{a, name=b, name(c)=d}`.
    case structure([Field])
    /// `htons(80)`.
    case call(String, [Expression])

    /// One field of a structure.
    public struct Field: Hashable, Sendable {
        /// Its name; `nil` when it is known by its place.
        public var name: String?
        /// What stands in parentheses behind the name, as in `msg_iov(1)=`.
        public var argument: Expression?
        /// Its value.
        public var value: Expression

        /// Makes a field.
        public init(name: String? = nil, argument: Expression? = nil, value: Expression) {
            self.name = name
            self.argument = argument
            self.value = value
        }
    }
}
