package import TCPWire

/// What one acknowledgment shows to have arrived.
package struct Delivery {
    package let now: Instant
    /// TSecr, if the acknowledgment has one.
    let echo: UInt32?
    /// The difference of TSval and milliseconds of the clock.
    let timestampOffset: UInt32
    /// RACK.min_RTT.
    let leastRoundTrip: Int64
    /// RACK.fack: the end of the highest sequence number that is known to have arrived.
    package var highest: SequenceNumber
    /// Octets that were not known to have arrived before.
    package var octets = 0
    /// Whether something arrived after what was sent later (RFC 8985 §6.2 step 3).
    package var isReordered = false
    /// When the last of what was sent again, and has arrived, left.
    var retransmittedAt: Instant?
    /// The latest sending of what arrived: RFC 8985 §6.2 step 2.
    var latest: (sentAt: Instant, end: SequenceNumber)?
    /// The first and the last sending of what was sent only once.
    var originals: (first: Instant, last: Instant)?
    var hasRetransmission: Bool { retransmittedAt != nil }
    /// What it says of the path's rate.
    package var sample: RateSample

    package init(
        now: Instant, echo: UInt32?, timestampOffset: UInt32, leastRoundTrip: Int64, highest: SequenceNumber,
        sample: RateSample
    ) {
        self.now = now
        self.echo = echo
        self.timestampOffset = timestampOffset
        self.leastRoundTrip = leastRoundTrip
        self.highest = highest
        self.sample = sample
    }

    /// A transmission arrived, or that part of it.
    mutating func take(
        _ record: Transmission, from start: SequenceNumber, to end: SequenceNumber, _ rate: inout DeliveryRate
    ) {
        let count = end.distance(from: start)
        octets &+= count
        rate.take(
            record.stamp, record.word, sentAt: record.sentAt, octets: count, isRetransmitted: record.isRetransmission,
            into: &sample, now: now)
        if record.isRetransmission {
            retransmittedAt = max(retransmittedAt ?? record.sentAt, record.sentAt)
        } else {
            originals = (
                min(originals?.first ?? record.sentAt, record.sentAt),
                max(originals?.last ?? record.sentAt, record.sentAt)
            )
        }
        // RFC 8985 §6.2 step 3: RACK_detect_reordering.
        if end > highest {
            highest = end
        } else if end < highest, !record.isRetransmission {
            isReordered = true
        }
        if record.isRetransmission, isOfOriginal(record) { return }
        if latest.map({ Transmission.isAfter(record.sentAt, end, $0.sentAt, $0.end) }) ?? true {
            latest = (record.sentAt, end)
        }
    }

    /// RFC 8985 §6.2 step 2: whether it may be the first sending of a retransmission that arrived: its timestamp is older,
    /// or no round trip is that short.
    private func isOfOriginal(_ record: Transmission) -> Bool {
        if let echo {
            let clock = UInt32(truncatingIfNeeded: record.sentAt.nanoseconds / 1_000_000) &+ timestampOffset
            if Int32(bitPattern: echo &- clock) < 0 { return true }
        }
        return now.nanoseconds &- record.sentAt.nanoseconds < leastRoundTrip
    }
}

extension Transmissions {
    /// Everything before `number` has arrived.
    package mutating func acknowledge(to number: SequenceNumber, _ delivery: inout Delivery, _ rate: inout DeliveryRate)
    {
        while !isEmpty {
            let record = self[0]
            let end = SequenceNumber.earlier(record.end, number)
            guard end > start else { break }
            if !record.isSacked { delivery.take(record, from: start, to: end, &rate) }
            if end == record.end { removeFirst() } else { trimFirst(to: end) }
        }
        restart(at: number)
    }

    /// RFC 6675 §4, Update: the peer reports to hold `block`. A record of which it holds a part is cut; without memory for
    /// that the part is not news. What does not lie in what was sent, D-SACK too, changes nothing; nor does what begins at
    /// SEG.ACK, for it would have been acknowledged.
    package mutating func sack(
        _ block: SACKBlock, segmentSize: Int, _ delivery: inout Delivery, _ rate: inout DeliveryRate,
        _ context: inout Context
    ) {
        guard block.start < block.end, block.start > start, block.end <= end, block.start < end else { return }
        let limit = Transmissions.rangeLimit(inFlight: end.distance(from: start), segmentSize: segmentSize)
        var index = self.index(holding: block.start)
        while index < count, start(of: index) < block.end {
            defer { index &+= 1 }
            guard !self[index].isSacked else { continue }
            if sackedRanges >= limit, !extendsSacked(block, index) { return }
            if start(of: index) < block.start || self[index].end > block.end {
                guard makeRoom(for: 2, &context) else { continue }
                if start(of: index) < block.start {
                    cut(at: block.start)
                    index &+= 1
                }
                if self[index].end > block.end { cut(at: block.end) }
            }
            delivery.take(self[index], from: start(of: index), to: self[index].end, &rate)
            noteSacked(index)
            index = join(at: index)
        }
    }

    /// Whether what `block` reports of a record makes one with what was reported before.
    private func extendsSacked(_ block: SACKBlock, _ index: Int) -> Bool {
        index > 0 && self[index &- 1].isSacked && block.start <= start(of: index)
            || index &+ 1 < count && self[index &+ 1].isSacked && block.end >= self[index].end
    }
}
