public import TCPEngine
public import TCPTrace
public import TCPWire

/// Questions about a trace that checks and tests ask.
extension Trace {
    /// The segments of one end that carry exactly these flags; PSH is not looked at.
    public func segments(from end: String, _ flags: TCPFlags) -> [TracedSegment] {
        segments.filter {
            $0.from == end && $0.origin == .host && $0.header.flags.subtracting(.psh).rawValue & 0x3F == flags.rawValue
        }
    }

    /// The first of them.
    public func first(from end: String, _ flags: TCPFlags) -> TracedSegment? {
        segments(from: end, flags).first
    }

    /// The segments of one end that carry at least these flags.
    public func segments(from end: String, containing flags: TCPFlags) -> [TracedSegment] {
        segments.filter { $0.from == end && $0.origin == .host && $0.header.flags.contains(flags) }
    }

    /// The segments of one end with data.
    public func data(from end: String) -> [TracedSegment] {
        segments.filter { $0.from == end && $0.origin == .host && $0.length > 0 }
    }

    /// Whether `states` come in this order, one right after the other, among the states that an end passed through.
    public func passes(_ end: String, through states: State...) -> Bool {
        let all = self.states(of: end)
        guard all.count >= states.count else { return false }
        return (0...(all.count - states.count)).contains { Array(all[$0..<$0 + states.count]) == states }
    }

    /// When an end first came into a state.
    public func time(_ end: String, reaches state: State) -> Instant? {
        stateChanges.first { $0.end == end && $0.to == state && $0.remote.port != 0 }?.time
    }
}
