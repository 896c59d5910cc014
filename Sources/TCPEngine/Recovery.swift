package import TCPWire

/// Loss recovery of a sender: the scoreboard of RFC 6675, which serves NewReno (RFC 6582) and timeouts as well. Made by
/// the first sign of loss or reordering, gone when all is acknowledged.
package final class Recovery {
    /// Bytes charged for one, its list with it while that is short, and once it is not.
    package static let cost = 384
    package static let longCost = 2560
    /// Separate ranges remembered: what a peer reports beyond these is not worth its memory. Few at first, which is nearly
    /// always enough.
    static let shortLimit = 16
    static let longLimit = 256

    package enum Phase: UInt8 {
        /// Something was SACKed or lost, but nothing is being repaired.
        case open
        /// Fast recovery.
        case fast
        /// After a retransmission timeout.
        case timeout
        /// After the path was found to be narrower: everything goes again in smaller segments, and nothing of it was lost
        /// to congestion.
        case resized
        /// After a probe of a larger size was lost alone: its octets go again at once in smaller segments, which takes no
        /// window, for the probe has left the network.
        case divided
    }

    package var phase = Phase.open
    /// Ranges that have been charged for.
    private(set) var limit = Recovery.shortLimit
    /// What was lost and what was sent again is known without SACK too.
    package var countsPipe: Bool { phase == .timeout || phase == .resized || phase == .divided }
    /// What the peer reports to hold.
    package var sacked = SequenceRanges()
    /// RecoveryPoint: recovery ends when this is acknowledged.
    package var point: SequenceNumber
    /// HighRxt: what was sent again lies before this.
    package var retransmitted: SequenceNumber
    /// When something was last sent again.
    package var retransmittedAt = Instant(nanoseconds: .min / 2)
    /// What was not SACKed before this counts as lost.
    package var lostBefore: SequenceNumber
    /// The rescue retransmission of RFC 6675 §5 rule 4 was sent.
    package var rescued = false
    /// Duplicates that may still open the window without SACK: as many as segments were out at the last progress.
    package var inflations = 0
    /// Timeouts in a row without progress.
    package var timeouts: UInt8 = 0

    package init(at unacknowledged: SequenceNumber) {
        point = unacknowledged
        retransmitted = unacknowledged
        lostBefore = unacknowledged
    }

    /// Bytes charged.
    package var cost: Int { limit == Recovery.shortLimit ? Recovery.cost : Recovery.longCost }

    /// Sees to room for what one acknowledgment can report, if the budget has it.
    func makeRoom(_ context: inout Context) {
        guard limit == Recovery.shortLimit, sacked.count &+ 4 > limit else { return }
        let more = Recovery.longCost &- Recovery.cost
        guard context.budget.reserve(more) else { return }
        context.recoveryBytes &+= more
        limit = Recovery.longLimit
    }

    /// RFC 6675 §3 Update: takes the blocks of one acknowledgment; says how many octets they newly cover. Blocks that make
    /// no sense, and D-SACK reports, change nothing.
    package func update(
        _ options: TCPOptions, acknowledged: SequenceNumber, next: SequenceNumber
    ) -> Int {
        var added = 0
        for index in 0..<options.sackCount {
            let block = options.sackBlocks[index]
            guard block.start < block.end, block.start >= acknowledged, block.end <= next, block.start < next,
                block.end > acknowledged
            else { continue }
            added &+= sacked.insert(block, limit: limit)
        }
        return added
    }

    /// RFC 6675 §4 IsLost: below three separate ranges, or more than two segments, reported above it.
    package func updateLost(segmentSize: Int, threshold: Int) {
        var ranges = 0
        var bytes = 0
        for range in sacked.ranges.reversed() {
            ranges &+= 1
            bytes &+= range.end.distance(from: range.start)
            if ranges >= threshold || bytes > (threshold &- 1) &* segmentSize {
                lostBefore = .later(lostBefore, range.start)
                return
            }
        }
    }

    /// RFC 6675 §4 SetPipe: octets believed to be on the way between `low` and `high`.
    package func pipe(from low: SequenceNumber, to high: SequenceNumber) -> Int {
        let lost = SequenceNumber.later(low, .earlier(lostBefore, high))
        var octets = high.distance(from: lost) &- sacked.byteCount(from: lost, to: high)
        let again = SequenceNumber.earlier(retransmitted, high)
        if again > low { octets &+= again.distance(from: low) &- sacked.byteCount(from: low, to: again) }
        return max(octets, 0)
    }

    /// RFC 6675 §4 NextSeg rule 1: the next lost octets to send again.
    package func nextLost(from low: SequenceNumber) -> (start: SequenceNumber, end: SequenceNumber)? {
        let gap = sacked.gap(from: .later(retransmitted, low))
        guard gap.start < lostBefore else { return nil }
        return (gap.start, .earlier(gap.end ?? lostBefore, lostBefore))
    }

    /// NextSeg rule 3: octets not known to be lost, below something the peer holds.
    package func nextUncertain(from low: SequenceNumber) -> (start: SequenceNumber, end: SequenceNumber)? {
        let gap = sacked.gap(from: .later(retransmitted, low))
        guard let end = gap.end else { return nil }
        return (gap.start, end)
    }
}
