internal import TCPWire

/// One connection of a script as seen on the wire: its addresses, and how the script's numbers lie to the wire's.
///
/// The peer's numbers go in as the script writes them. The stack chooses its own initial sequence number and timestamp
/// clock, so those are learned from the first packet that shows them.
struct Conversation {
    var local: Endpoint
    var remote: Endpoint
    /// The wire's number of the script's zero, for the stack's sequence numbers.
    var base = SequenceNumber(0)
    /// The stack has shown its initial sequence number.
    var isBaseKnown = false
    /// The peer's initial sequence number, of its last SYN.
    var peerInitial: UInt32 = 0
    /// The wire's timestamp for each that the script has named.
    private var timestamps: [UInt32: UInt32] = [:]
    /// The first timestamp seen: the wire's, and the script's name for it.
    private var clock: (wire: UInt32, script: UInt32)?

    init(local: Endpoint, remote: Endpoint) {
        self.local = local
        self.remote = remote
    }

    /// The wire's number for a number of the stack's that the script writes.
    func wire(_ number: UInt32) -> SequenceNumber { base + number }

    /// The script's number for one of the stack's.
    func script(_ number: SequenceNumber) -> UInt32 { number - base }

    /// Notes what a SYN of the stack tells, which the script expects to start at `start`.
    mutating func learn(initial: SequenceNumber, start: UInt32) {
        base = initial + (0 &- start)
        isBaseKnown = true
    }

    // MARK: Timestamps

    /// The wire's timestamp to echo where the script echoes `value`.
    func wireEcho(_ value: UInt32) -> UInt32 {
        if let known = timestamps[value] { return known }
        guard let clock, value != 0 else { return value }
        return value &- clock.script &+ clock.wire
    }

    /// The script's figure for a timestamp of the stack's.
    func scriptTimestamp(_ wire: UInt32) -> UInt32 {
        guard let clock else { return wire }
        return wire &- clock.wire &+ clock.script
    }

    /// Notes that the script calls this timestamp of the stack's `value`.
    mutating func learn(timestamp wire: UInt32, as value: UInt32) {
        if clock == nil { clock = (wire, value) }
        timestamps[value] = wire
    }
}
