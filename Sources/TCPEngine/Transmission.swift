package import TCPWire

/// One sending of a stretch of octets, in 32 bytes: RFC 8985 §5.2's per-segment variables. It begins where the one before
/// it ends. Segments that left at the same moment are one until an acknowledgment tells them apart.
package struct Transmission {
    /// Segment.xmit_ts: when it was last sent.
    package var sentAt: Instant
    /// Segment.end_seq.
    package var end: SequenceNumber
    /// The amount in flight behind it, and in the upper seven bits what has become of it.
    package var word: UInt32 = 0
    /// What the delivery rate is measured by.
    package var stamp = SendStamp(delivered: 0, lost: 0, deliveredAge: 0, sendAge: 0)

    package init(sentAt: Instant, end: SequenceNumber) {
        self.sentAt = sentAt
        self.end = end
    }

    private static let sacked: UInt32 = 1 &<< 31
    private static let lost: UInt32 = 1 &<< 30
    private static let again: UInt32 = 1 &<< 29

    /// The peer reports to hold it.
    package var isSacked: Bool {
        get { word & Transmission.sacked != 0 }
        set { set(Transmission.sacked, newValue) }
    }

    /// Segment.lost, and not sent again since.
    package var isLost: Bool {
        get { word & Transmission.lost != 0 }
        set { set(Transmission.lost, newValue) }
    }

    /// Segment.retransmitted: sent more than once.
    package var isRetransmission: Bool {
        get { word & Transmission.again != 0 }
        set { set(Transmission.again, newValue) }
    }

    private mutating func set(_ bit: UInt32, _ value: Bool) { word = value ? word | bit : word & ~bit }

    /// Whether `other`, which lies right before it, may be one with it: both left at the same moment and fared alike, or
    /// it no longer matters when.
    func joins(_ other: Transmission) -> Bool {
        guard (word ^ other.word) & (Transmission.sacked | Transmission.lost) == 0 else { return false }
        if isSacked { return true }
        guard isRetransmission == other.isRetransmission else { return false }
        return isLost || sentAt == other.sentAt
    }

    /// RFC 8985 §6.2, RACK_sent_after: whether one was sent after another; of those sent at once the later in sequence.
    static func isAfter(
        _ time: Instant, _ end: SequenceNumber, _ otherTime: Instant, _ otherEnd: SequenceNumber
    ) -> Bool {
        time > otherTime || time == otherTime && end > otherEnd
    }
}
