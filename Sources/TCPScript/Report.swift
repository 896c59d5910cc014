/// What came of running a script.
public struct Report: Equatable, Sendable {
    /// The script's name.
    public var file: String
    /// How it ended.
    public var outcome: Outcome
    /// What its `print` statements said.
    public var output: [String]

    /// How a script ended.
    public enum Outcome: Equatable, Sendable {
        /// All was as the script says.
        case passed
        /// Something was not.
        case failed(Failure)
        /// It was not run, or not to the end, for something that is not here; the text says what.
        case skipped(String, at: SourcePosition?)
    }

    /// Where and how a script failed.
    public struct Failure: Error, Equatable, Sendable {
        /// Where the event stands.
        public var position: SourcePosition
        /// One clause.
        public var reason: String
        /// The event as the script writes it; empty for a script that could not be read.
        public var expected: String
        /// What came instead, in the script's notation; `nil` when nothing did.
        public var got: String?
        /// The state of every connection, a line each.
        public var connections: [String]

        /// Makes one.
        public init(
            position: SourcePosition, reason: String, expected: String, got: String? = nil, connections: [String] = []
        ) {
            self.position = position
            self.reason = reason
            self.expected = expected
            self.got = got
            self.connections = connections
        }
    }

    /// Makes a report.
    public init(file: String, outcome: Outcome, output: [String] = []) {
        self.file = file
        self.outcome = outcome
        self.output = output
    }

    /// The report for a person: one line for a script that passed, and for one that failed what was expected, what came, and in
    /// which state the connections were.
    public var lines: [String] {
        switch outcome {
        case .passed: return ["\(file): passed"] + output.map { "  | " + $0 }
        case .skipped(let reason, let position):
            return [position.map { "\(file):\($0.line): skipped: \(reason)" } ?? "\(file): skipped: \(reason)"]
        case .failed(let failure):
            var lines = ["\(file):\(failure.position.line): failed: \(failure.reason)"]
            if !failure.expected.isEmpty { lines.append("  expected: \(failure.expected)") }
            if let got = failure.got { lines.append("  got:      \(got)") }
            lines += failure.connections.map { "  " + $0 }
            return lines + output.map { "  | " + $0 }
        }
    }
}
