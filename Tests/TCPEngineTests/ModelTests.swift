import TCPEngine
import TCPWire
import Testing

/// A small generator, so that a failing case can be run again.
struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state = state &+ 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed &>> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed &>> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed &>> 31
    }
}

#if DEBUG
    let rounds = 40
#else
    let rounds = 2_000
#endif

@Suite("Queues and ranges behave as the plainest model of them")
struct ModelTests {
    @Test("A byte queue gives back what was put in, in order, and all memory with the last octet")
    func byteQueue() {
        for seed in 0..<UInt64(rounds / 4) {
            var random = Generator(state: seed)
            var pool = BlockPool()
            var budget = Budget(limit: 1 << 22)
            var queue = ByteQueue()
            var model: [UInt8] = []
            for _ in 0..<60 {
                if Bool.random(using: &random) {
                    let bytes = (0..<Int.random(in: 1...9000, using: &random)).map { _ in
                        UInt8.random(in: 0...255, using: &random)
                    }
                    #expect(queue.append(bytes.span.bytes, &pool, &budget) == bytes.count)
                    model += bytes
                } else if !model.isEmpty {
                    let offset = Int.random(in: 0..<model.count, using: &random)
                    let count = Int.random(in: 0...model.count - offset, using: &random)
                    var target = [UInt8](repeating: 0, count: count)
                    var span = target.mutableSpan
                    var raw = span.mutableBytes
                    queue.copy(from: offset, count: count, to: &raw, at: 0, pool)
                    #expect(target == Array(model[offset..<offset + count]))
                    let gone = Int.random(in: 0...model.count, using: &random)
                    queue.removeFirst(gone, &pool, &budget)
                    model.removeFirst(gone)
                }
                #expect(queue.count == model.count)
                #expect(model.isEmpty ? pool.usedBytes == 0 : pool.usedBytes < model.count + 2 * BlockPool.blockSize)
            }
            queue.removeAll(&pool, &budget)
            pool.trim(all: true, &budget)
            #expect(budget.used == 0)
        }
    }

    @Test("Octets placed past a gap lie where they are read once the gap is filled")
    func placing() {
        for seed in 0..<UInt64(rounds / 4) {
            var random = Generator(state: seed &+ 1_000_000)
            var pool = BlockPool()
            var budget = Budget(limit: 1 << 22)
            var queue = ByteQueue()
            let bytes = (0..<20_000).map { _ in UInt8.random(in: 0...255, using: &random) }
            // Something was read before, so that the head lies inside a block.
            let before = [UInt8](repeating: 1, count: Int.random(in: 0...3000, using: &random))
            #expect(queue.append(before.span.bytes, &pool, &budget) == before.count)
            queue.removeFirst(before.count, keepsRest: true, &pool, &budget)
            var pieces: [Range<Int>] = []
            var start = 0
            while start < bytes.count {
                let end = min(bytes.count, start + Int.random(in: 1...2500, using: &random))
                pieces.append(start..<end)
                start = end
            }
            for piece in pieces.shuffled(using: &random) {
                #expect(
                    queue.place(bytes.span.bytes.extracting(piece), at: piece.lowerBound, &pool, &budget) == piece.count
                )
            }
            queue.extend(by: bytes.count)
            var target = [UInt8](repeating: 0, count: bytes.count)
            var span = target.mutableSpan
            var raw = span.mutableBytes
            queue.copy(from: 0, count: bytes.count, to: &raw, at: 0, pool)
            #expect(target == bytes)
            queue.removeFirst(bytes.count, &pool, &budget)
            #expect(pool.usedBytes == 0)
        }
    }

    @Test("A queue takes what the budget has room for, and says how much")
    func budget() {
        var pool = BlockPool()
        var budget = Budget(limit: 100_000)
        var queue = ByteQueue()
        let bytes = [UInt8](repeating: 7, count: 300_000)
        let stored = queue.append(bytes.span.bytes, &pool, &budget)
        #expect(stored > 0 && stored < bytes.count)
        #expect(queue.count == stored)
        #expect(budget.used <= budget.limit)
        #expect(budget.refusals > 0)
        queue.removeAll(&pool, &budget)
        pool.trim(all: true, &budget)
        #expect(budget.used == 0)
    }

    @Test("Sequence ranges are the set of their numbers, across the wrap of the circle too")
    func ranges() {
        for seed in 0..<UInt64(rounds) {
            var random = Generator(state: seed &+ 2_000_000)
            let base = SequenceNumber(UInt32.max &- UInt32.random(in: 0...150, using: &random))
            var ranges = SequenceRanges()
            var model = Set<Int>()
            var low = 0
            for _ in 0..<30 {
                let start = Int.random(in: low...low + 250, using: &random)
                let end = start + Int.random(in: 0...40, using: &random)
                let new = Set(start..<end).subtracting(model)
                #expect(ranges.insert(SACKBlock(start: base + start, end: base + end), limit: 1000) == new.count)
                model.formUnion(new)
                if Int.random(in: 0..<6, using: &random) == 0 {
                    low += Int.random(in: 0...30, using: &random)
                    ranges.remove(before: base + low)
                    model = model.filter { $0 >= low }
                }
                #expect(ranges.byteCount == model.count)
                for range in ranges.ranges { #expect(range.start < range.end) }
                for (left, right) in zip(ranges.ranges, ranges.ranges.dropFirst()) { #expect(left.end < right.start) }
                let probe = Int.random(in: low...low + 290, using: &random)
                #expect((ranges.range(holding: base + probe) != nil) == model.contains(probe))
                var gap = probe
                while model.contains(gap) { gap += 1 }
                #expect(ranges.gap(from: base + probe).start == base + gap)
                let upper = probe + 60
                #expect(
                    ranges.byteCount(from: base + probe, to: base + upper)
                        == model.filter { $0 >= probe && $0 < upper }.count)
            }
        }
    }

    @Test("One range more than the limit is not kept")
    func rangeLimit() {
        var ranges = SequenceRanges()
        for index in 0..<10 {
            ranges.insert(
                SACKBlock(start: SequenceNumber(UInt32(index * 10)), end: SequenceNumber(UInt32(index * 10 + 5))),
                limit: 4)
        }
        #expect(ranges.count == 4)
        #expect(ranges.insert(SACKBlock(start: SequenceNumber(5), end: SequenceNumber(10)), limit: 4) == 5)
        #expect(ranges.count == 3)
    }
}

@Suite("The retransmission timeout follows RFC 6298")
struct RTTTests {
    private func parameters(minimum: Int64) -> Parameters {
        var parameters = Parameters()
        parameters.minimumRTO = minimum
        return parameters
    }

    @Test("Before a measurement the RTO is one second, doubled by each back-off up to the limit")
    func initial() {
        var rtt = RTTEstimator()
        let parameters = parameters(minimum: 0)
        var expected: Int64 = 1_000_000_000
        for _ in 0..<12 {
            #expect(rtt.timeout(parameters) == min(expected, 60_000_000_000))
            rtt.backOff()
            expected *= 2
        }
        rtt.endBackOff()
        #expect(rtt.timeout(parameters) == 1_000_000_000)
    }

    @Test(
        "The first sample R makes SRTT R, RTTVAR R/2 and the RTO 3R; later ones weigh an eighth and a quarter [6298-1]")
    func samples() {
        var rtt = RTTEstimator()
        let parameters = parameters(minimum: 0)
        rtt.add(sample: 100_000_000)
        #expect(rtt.smoothed == 100_000_000)
        #expect(rtt.variation == 50_000_000)
        #expect(rtt.timeout(parameters) == 300_000_000)
        rtt.add(sample: 180_000_000)
        // RTTVAR = 3/4·50 + 1/4·|100 − 180|, SRTT = 7/8·100 + 1/8·180 milliseconds.
        #expect(rtt.variation == 57_500_000)
        #expect(rtt.smoothed == 110_000_000)
    }

    @Test("Many weighted samples of one round trip move the estimate about as far as one [7323-13]")
    func weights() {
        var one = RTTEstimator()
        var many = RTTEstimator()
        one.add(sample: 100_000_000)
        many.add(sample: 100_000_000)
        one.add(sample: 200_000_000)
        for _ in 0..<50 { many.add(sample: 200_000_000, weight: 50) }
        #expect(abs(one.smoothed - many.smoothed) < 3_000_000)
    }
}
