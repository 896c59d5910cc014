package import TCPWire

/// What a receiver knows of octets that came out of order. Made by the first of them, gone with the last.
package final class Reassembly {
    /// Bytes charged for one with its first list.
    package static let cost = bytes(ofRanges: leastLimit)
    /// Separate ranges kept; a segment that would make one more is dropped. Few at first, which is nearly always enough: a
    /// queue that overflows in slow start drops every other segment of a window.
    static let leastLimit = 16
    package static let mostLimit = 8192

    /// Ranges that have been charged for.
    private(set) var limit = Reassembly.leastLimit
    /// What lies in the receive queue past a gap.
    package var ranges = SequenceRanges()
    /// The FIN's sequence number, when it came before the data in front of it.
    package var fin: SequenceNumber?
    /// A duplicate to report in the next acknowledgment (RFC 2883 §4).
    package var duplicate: SACKBlock?
    /// One number of each range that grew lately, the latest first: the order RFC 2018 §4 asks for.
    private(set) var recent: InlineArray<4, SequenceNumber> = .init(repeating: SequenceNumber(0))
    private(set) var recentCount = 0

    package init() {}

    /// Bytes charged.
    package var cost: Int { Reassembly.bytes(ofRanges: limit) }

    private static func bytes(ofRanges count: Int) -> Int { 256 &+ 8 &* count }

    /// Sees to room for one more range of `most`, if the budget has it.
    func makeRoom(most: Int, _ context: inout Context) {
        guard limit < min(most, Reassembly.mostLimit), ranges.count >= limit else { return }
        let more = Reassembly.bytes(ofRanges: limit &* 2) &- cost
        guard context.budget.reserve(more, keeping: context.budget.marks.keptBack) else { return }
        context.recoveryBytes &+= more
        limit &*= 2
    }

    package var isIdle: Bool { ranges.isEmpty && fin == nil && duplicate == nil }

    /// Notes that a segment beginning at `sequence` just came.
    package func note(_ sequence: SequenceNumber) {
        var index = min(recentCount, 3)
        while index > 0 {
            recent[index] = recent[index &- 1]
            index &-= 1
        }
        recent[0] = sequence
        recentCount = min(4, recentCount &+ 1)
    }

    /// RFC 2018 §4 and RFC 2883 §4: the duplicate first, then the range that changed last, then the others by recency.
    /// The caller forgets the duplicate when a segment with it leaves: it is reported once.
    package func fillSACK(_ options: inout TCPOptions, room: Int) {
        if let duplicate, options.sackCount < room { options.appendSACK(duplicate) }
        let reported = options.sackCount
        for index in 0..<recentCount where options.sackCount < room {
            guard let range = ranges.range(holding: recent[index]) else { continue }
            var isNew = true
            for other in reported..<options.sackCount where options.sackBlocks[other] == range { isNew = false }
            if isNew { options.appendSACK(range) }
        }
    }
}
