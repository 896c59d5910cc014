package import TCPWire

/// A segment to send: what stands in its header, and where its octets lie in the send queue.
package struct OutgoingSegment: Sendable {
    private let inPlace = InPlace()
    package var sequence: SequenceNumber
    package var acknowledgment = SequenceNumber(0)
    package var flags: TCPFlags
    package var window: UInt16 = 0
    package var options = TCPOptions()
    /// Octets into the send queue, and how many.
    package var payloadOffset = 0
    package var payloadLength = 0
    /// Octets of payload per segment when this is a super-segment; else zero.
    package var segmentSize = 0
    /// The ECN field of its IP header.
    package var codepoint = ECNCodepoint.notCapable
    /// A keep-alive or another segment with one octet that belongs to nothing.
    package var isGarbage = false

    package init(sequence: SequenceNumber, flags: TCPFlags) {
        self.sequence = sequence
        self.flags = flags
    }
}

/// What changed about a connection that its program may want to know: the bits of the stack's `Readiness`.
package struct Changes: OptionSet, Sendable {
    package var rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package static let opened = Changes(rawValue: 1)
    package static let readable = Changes(rawValue: 2)
    package static let writable = Changes(rawValue: 4)
    package static let endOfStream = Changes(rawValue: 8)
    package static let ended = Changes(rawValue: 16)
    package static let urgent = Changes(rawValue: 32)
    package static let troubled = Changes(rawValue: 64)
}
