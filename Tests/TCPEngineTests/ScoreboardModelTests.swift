import TCPEngine
import TCPWire
import Testing

@Suite("The scoreboard behaves as a list of octets (RFC 6675)")
struct ScoreboardModelTests {
    private static let threshold = 3
    private static let size = 40

    /// One entry for each octet that was sent.
    private struct Model {
        let base: SequenceNumber
        var unacknowledged = 0
        var next: Int
        var sacked: Set<Int> = []
        /// Octets that IsLost has said to be lost at any time.
        var lost: Set<Int> = []
        /// HighRxt: octets before it were sent again.
        var retransmitted = 0

        /// RFC 6675 §4, IsLost, octet by octet.
        mutating func updateLost() {
            for octet in unacknowledged..<next where !sacked.contains(octet) {
                let above = sacked.filter { $0 > octet }
                let ranges = above.filter { !sacked.contains($0 - 1) }.count
                if ranges >= threshold || above.count > (threshold - 1) * size { lost.insert(octet) }
            }
        }

        /// RFC 6675 §4, SetPipe.
        var pipe: Int {
            (unacknowledged..<next).filter { !sacked.contains($0) }.reduce(0) {
                $0 + (lost.contains($1) ? 0 : 1) + ($1 < retransmitted ? 1 : 0)
            }
        }

        /// RFC 6675 §4, NextSeg rule 1: the first octets that are lost and were not sent again.
        var nextLost: Range<Int>? {
            let start = (max(unacknowledged, retransmitted)..<next).first { !sacked.contains($0) }
            guard let start, lost.contains(start) else { return nil }
            var end = start
            while end < next, !sacked.contains(end), lost.contains(end) { end += 1 }
            return start..<end
        }

        /// Rule 3: the first octets not sent again below something that is SACKed.
        var nextUncertain: Range<Int>? {
            guard let start = (max(unacknowledged, retransmitted)..<next).first(where: { !sacked.contains($0) }),
                let end = sacked.filter({ $0 > start }).min()
            else { return nil }
            return start..<end
        }
    }

    @Test("Lost octets, the pipe and what to send next are those that RFC 6675 counts octet by octet")
    func agrees() {
        for seed in 0..<UInt64(rounds / 8) {
            var random = Generator(state: seed &+ 3_000_000)
            let base = SequenceNumber(UInt32.max &- UInt32.random(in: 0...500, using: &random))
            var model = Model(base: base, next: Int.random(in: 50...600, using: &random))
            let recovery = Recovery(at: base)
            for _ in 0..<25 {
                step(&model, recovery, &random)
                #expect(recovery.sacked.byteCount == model.sacked.count, "seed \(seed)")
                let low = base + model.unacknowledged
                #expect(recovery.pipe(from: low, to: base + model.next) == model.pipe, "seed \(seed)")
                let lost = recovery.nextLost(from: low).map { range($0, base) }
                #expect(lost == model.nextLost, "seed \(seed)")
                let uncertain = recovery.nextUncertain(from: low).map { range($0, base) }
                #expect(uncertain == model.nextUncertain, "seed \(seed)")
            }
        }
    }

    private func range(_ range: (start: SequenceNumber, end: SequenceNumber), _ base: SequenceNumber) -> Range<Int> {
        range.start.distance(from: base)..<range.end.distance(from: base)
    }

    private func step(_ model: inout Model, _ recovery: Recovery, _ random: inout Generator) {
        switch Int.random(in: 0..<6, using: &random) {
        case 0:  // a cumulative acknowledgment
            let upper = min(model.unacknowledged + 60, model.next)
            model.unacknowledged = Int.random(in: model.unacknowledged...upper, using: &random)
            while model.sacked.contains(model.unacknowledged) { model.unacknowledged += 1 }
            model.sacked = model.sacked.filter { $0 >= model.unacknowledged }
            recovery.sacked.remove(before: model.base + model.unacknowledged)
        case 1:  // the next lost octets are sent again
            guard let lost = model.nextLost else { return }
            model.retransmitted = max(model.retransmitted, lost.upperBound)
            recovery.retransmitted = .later(recovery.retransmitted, model.base + lost.upperBound)
        case 2: model.next += Int.random(in: 0...80, using: &random)
        default:
            var options = TCPOptions()
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                // Nonsense too: before SND.UNA, past SND.NXT, backwards.
                let start = Int.random(in: model.unacknowledged - 30...model.next + 20, using: &random)
                let end = start + Int.random(in: -10...70, using: &random)
                options.appendSACK(SACKBlock(start: model.base + start, end: model.base + end))
                if start >= model.unacknowledged, end > start, end <= model.next, start < model.next {
                    model.sacked.formUnion(start..<end)
                }
            }
            _ = recovery.update(
                options, acknowledged: model.base + model.unacknowledged, next: model.base + model.next)
            recovery.updateLost(segmentSize: Self.size, threshold: Self.threshold)
            model.updateLost()
        }
    }
}
