package import TCPWire

/// Ranges of sequence numbers, sorted, apart from each other, all within one window: what a receiver holds out of order,
/// or what a sender knows to have arrived.
package struct SequenceRanges {
    package private(set) var ranges: [SACKBlock] = []
    /// Octets in all ranges.
    package private(set) var byteCount = 0

    package init() {}

    package var isEmpty: Bool { ranges.isEmpty }
    package var count: Int { ranges.count }
    package var first: SACKBlock? { ranges.first }
    package var last: SACKBlock? { ranges.last }

    /// The index of the first range that ends at or after `sequence`.
    private func lowerIndex(_ sequence: SequenceNumber) -> Int {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low &+ high) / 2
            if ranges[middle].end < sequence { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    /// Adds a range, joining what it touches; says how many octets are new. A range that would be one more than `limit`
    /// is not added.
    @discardableResult
    package mutating func insert(_ block: SACKBlock, limit: Int) -> Int {
        guard block.start < block.end else { return 0 }
        let index = lowerIndex(block.start)
        var merged = block
        var end = index
        var covered = 0
        while end < ranges.count, ranges[end].start <= block.end {
            merged.start = .earlier(merged.start, ranges[end].start)
            merged.end = .later(merged.end, ranges[end].end)
            covered &+= ranges[end].end.distance(from: ranges[end].start)
            end &+= 1
        }
        if end == index {
            guard ranges.count < limit else { return 0 }
            ranges.insert(merged, at: index)
        } else {
            ranges[index] = merged
            if end &- index > 1 { ranges.removeSubrange(index &+ 1..<end) }
        }
        let added = merged.end.distance(from: merged.start) &- covered
        byteCount &+= added
        return added
    }

    /// Forgets everything before `sequence`.
    package mutating func remove(before sequence: SequenceNumber) {
        var gone = 0
        while gone < ranges.count, ranges[gone].end <= sequence {
            byteCount &-= ranges[gone].end.distance(from: ranges[gone].start)
            gone &+= 1
        }
        if gone > 0 { ranges.removeSubrange(0..<gone) }
        if let first = ranges.first, first.start < sequence {
            byteCount &-= sequence.distance(from: first.start)
            ranges[0].start = sequence
        }
    }

    /// Forgets everything.
    package mutating func removeAll() {
        ranges.removeAll()
        byteCount = 0
    }

    /// The range that holds `sequence`.
    package func range(holding sequence: SequenceNumber) -> SACKBlock? {
        let index = lowerIndex(sequence + 1)
        guard index < ranges.count, ranges[index].start <= sequence else { return nil }
        return ranges[index]
    }

    /// The first gap at or after `sequence`: where it starts, and where the next range ends it, if one does.
    package func gap(from sequence: SequenceNumber) -> (start: SequenceNumber, end: SequenceNumber?) {
        var start = sequence
        var index = lowerIndex(sequence + 1)
        if index < ranges.count, ranges[index].start <= start {
            start = ranges[index].end
            index &+= 1
        }
        return (start, index < ranges.count ? ranges[index].start : nil)
    }

    /// The first stretch of `low ..< high` that the ranges hold.
    package func firstPart(from low: SequenceNumber, to high: SequenceNumber) -> SACKBlock? {
        let index = lowerIndex(low + 1)
        guard index < ranges.count, ranges[index].start < high else { return nil }
        return SACKBlock(start: .later(ranges[index].start, low), end: .earlier(ranges[index].end, high))
    }

    /// Octets of the ranges that lie in `low ..< high`.
    package func byteCount(from low: SequenceNumber, to high: SequenceNumber) -> Int {
        var total = 0
        for range in ranges {
            let start = SequenceNumber.later(range.start, low)
            let end = SequenceNumber.earlier(range.end, high)
            if start < end { total &+= end.distance(from: start) }
        }
        return total
    }
}
