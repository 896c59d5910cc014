import TCPEngine
import TCPWire
import Testing

/// RFC 9406, §4.2 and §4.3. Round trips are in milliseconds where they are numbers alone.
@Suite("HyStart++")
struct HyStartTests {
    /// Two rounds at `base`, after which a third begins.
    private func started(_ base: Int64) -> Rounds<Cubic> {
        var rounds = Rounds<Cubic>()
        rounds.round(base * millisecond)
        rounds.round(base * millisecond)
        return rounds
    }

    @Test("A round is what was in flight at its start, and has its least round trip [RFC 9406 §4.2, 9406-1]")
    func rounds() {
        var rounds = Rounds<Cubic>()
        let end = rounds.sent
        rounds.acknowledge(30 * millisecond)
        #expect(rounds.control.hyStart.windowEnd == end)
        rounds.acknowledge(20 * millisecond)
        rounds.acknowledge(25 * millisecond)
        #expect(rounds.control.hyStart.currentMinimum == 20_000)
        #expect(rounds.control.hyStart.lastMinimum == .max)
        for _ in 0..<6 { rounds.acknowledge(40 * millisecond) }
        #expect(rounds.control.hyStart.windowEnd == end)
        let next = rounds.sent
        rounds.acknowledge(40 * millisecond)
        #expect(rounds.acknowledged == end)
        #expect(rounds.control.hyStart.windowEnd == next)
        #expect(rounds.control.hyStart.lastMinimum == 20_000)
        #expect(rounds.control.hyStart.currentMinimum == .max)
        #expect(rounds.control.hyStart.samples == 0)
    }

    @Test("Slow start doubles the window a round while round trips stay as they are [RFC 9406 §4.2]")
    func doubles() {
        var rounds = Rounds<NewReno>()
        for expected in [20, 40, 80, 160] {
            rounds.flight(50 * millisecond)
            #expect(rounds.control.window == UInt32(expected) * 1000)
        }
        #expect(rounds.control.hyStart.phase == .slowStart)
    }

    @Test(
        "A rise of an eighth, 4 to 16 ms, leads to conservative slow start [RFC 9406 §4.2, 9406-2]",
        arguments: [(8, 4_000), (32, 4_000), (40, 5_000), (80, 10_000), (128, 16_000), (400, 16_000)]
            as [(Int64, Int64)])
    func rise(base: Int64, rise: Int64) {
        var rounds = started(base)
        let barely = base * millisecond + rise * 1000
        for _ in 0..<8 { rounds.acknowledge(barely - 1000) }
        #expect(rounds.control.hyStart.phase == .slowStart)
        rounds = started(base)
        for _ in 0..<7 { rounds.acknowledge(barely) }
        #expect(rounds.control.hyStart.phase == .slowStart, "eight samples are needed")
        rounds.acknowledge(barely)
        #expect(rounds.control.hyStart.phase == .conservative)
        #expect(rounds.control.hyStart.baseline == UInt32(barely / 1000))
    }

    @Test("One round trip of eight that did not rise keeps slow start [RFC 9406 §4.2, 9406-2]")
    func leastOfEight() {
        var rounds = started(50)
        for _ in 0..<4 { rounds.acknowledge(90 * millisecond) }
        rounds.acknowledge(50 * millisecond)
        for _ in 0..<20 { rounds.acknowledge(90 * millisecond) }
        #expect(rounds.control.hyStart.phase == .slowStart)
    }

    @Test("Acknowledgments that measured nothing are no samples [RFC 9406 §4.2, 9406-2]")
    func unmeasured() {
        var rounds = started(50)
        for _ in 0..<7 { rounds.acknowledge(90 * millisecond) }
        for _ in 0..<12 { rounds.acknowledge(0) }
        #expect(rounds.control.hyStart.phase == .slowStart)
        #expect(rounds.control.hyStart.samples == 7)
    }

    @Test("Conservative slow start grows the window by a quarter [RFC 9406 §4.2, 9406-3]")
    func quarter() {
        var rounds = started(50)
        for _ in 0..<8 { rounds.acknowledge(70 * millisecond) }
        #expect(rounds.control.hyStart.phase == .conservative)
        let before = rounds.control.window
        for _ in 0..<8 { rounds.acknowledge(70 * millisecond) }
        #expect(rounds.control.window == before + 2000)
    }

    @Test(
        "Five rounds of it, the one it began in among them, end slow start at the window there is [RFC 9406 §4.2, 9406-4]"
    )
    func fiveRounds() {
        var rounds = started(50)
        rounds.round(70 * millisecond)
        #expect(rounds.control.hyStart.rounds == 1)
        for round in 2...4 {
            rounds.round(70 * millisecond)
            #expect(rounds.control.hyStart.rounds == UInt8(round))
            #expect(rounds.control.isSlowStart)
        }
        for _ in 1..<rounds.left { rounds.acknowledge(70 * millisecond) }
        #expect(rounds.control.isSlowStart)
        rounds.acknowledge(70 * millisecond)
        #expect(!rounds.control.isSlowStart)
        #expect(rounds.control.threshold == rounds.control.window)
        #expect(rounds.control.hyStart.phase == .over)
    }

    @Test("Eight round trips, the least of them below the baseline, resume slow start [RFC 9406 §4.2, 9406-5]")
    func resumes() {
        var rounds = started(50)
        rounds.round(70 * millisecond)
        rounds.round(70 * millisecond)
        #expect(rounds.control.hyStart.phase == .conservative)
        for _ in 0..<7 { rounds.acknowledge(69 * millisecond) }
        #expect(rounds.control.hyStart.phase == .conservative, "eight samples are needed")
        rounds.acknowledge(69 * millisecond)
        #expect(rounds.control.hyStart.phase == .slowStart)
        #expect(rounds.control.hyStart.baseline == .max)
        let before = rounds.control.window
        rounds.acknowledge(69 * millisecond)
        #expect(rounds.control.window == before + 1000)
        #expect(rounds.control.isSlowStart)
    }

    @Test("A round trip equal to the baseline does not [RFC 9406 §4.2, 9406-5]")
    func equalBaseline() {
        var rounds = started(50)
        rounds.round(70 * millisecond)
        for _ in 0..<8 { rounds.acknowledge(70 * millisecond) }
        #expect(rounds.control.hyStart.phase == .conservative)
    }

    @Test("After it was resumed, five more rounds are needed [RFC 9406 §4.2, 9406-4, 9406-5]")
    func roundsBeginAgain() {
        var rounds = started(50)
        for _ in 0..<4 { rounds.round(70 * millisecond) }
        rounds.round(60 * millisecond)
        #expect(rounds.control.hyStart.phase == .slowStart)
        rounds.round(60 * millisecond)
        rounds.round(80 * millisecond)
        #expect(rounds.control.hyStart.phase == .conservative)
        #expect(rounds.control.hyStart.rounds == 1)
        for _ in 0..<3 { rounds.round(80 * millisecond) }
        #expect(rounds.control.isSlowStart)
        rounds.round(80 * millisecond)
        #expect(!rounds.control.isSlowStart)
    }

    @Test(
        "One acknowledgment counts for the limit at most: eight segments unpaced, all paced [RFC 9406 §4.2, §4.3, 9406-6]",
        arguments: [(8, 8_000), (0, 20_000), (2, 2_000), (1, 1_000)])
    func limit(segments: Int, growth: UInt32) {
        var control = Cubic(segmentSize: 1000, synWasLost: false)
        let before = control.window
        control.receive(20_000, limit: segments)
        #expect(control.window == before + growth)
    }

    @Test("In conservative slow start the limit comes before the quarter [RFC 9406 §4.2, 9406-3, 9406-6]")
    func limitOfQuarter() {
        var rounds = started(50)
        for _ in 0..<8 { rounds.acknowledge(70 * millisecond) }
        let before = rounds.control.window
        rounds.control.receive(20_000, limit: 8)
        #expect(rounds.control.window == before + 2000)
    }

    @Test("Loss or a mark in it ends it for good [RFC 9406 §4.2, §4.3, 9406-7, 9406-8]", arguments: [false, true])
    func congestion(isECN: Bool) {
        var rounds = started(50)
        rounds.control.lose(isECN: isECN)
        #expect(rounds.control.hyStart.phase == .over)
        #expect(!rounds.control.isSlowStart)
    }

    @Test("Later slow starts end at their threshold alone [RFC 9406 §4.3, 9406-7]")
    func onlyTheFirst() {
        var rounds = started(50)
        rounds.control.timeout(inFlight: 38_000, segmentSize: 1000, isFirst: true, now: .zero)
        rounds.sent = rounds.acknowledged + 1000
        for _ in 0..<3 { rounds.flight(50 * millisecond) }
        for _ in 0..<15 { rounds.acknowledge(90 * millisecond) }
        #expect(rounds.control.hyStart.phase == .over)
        #expect(rounds.control.window == 23_000)
        #expect(rounds.control.threshold == 26_600)
    }

    @Test("The growth of the restart window within the first slow start is watched again [RFC 9406 §4.3]")
    func restart() {
        var rounds = started(50)
        rounds.control.restartAfterIdle(
            segmentSize: 1000, initialSegments: 10, idle: 60 * second, rto: second)
        #expect(rounds.control.window == 10_000)
        #expect(rounds.control.hyStart.phase == .unstarted)
        #expect(rounds.control.isSlowStart)
        rounds.acknowledged = rounds.sent
        rounds.sent += 10_000
        rounds.round(90 * millisecond)
        #expect(rounds.control.hyStart.phase == .slowStart, "the path before the pause is no measure")
        rounds.round(120 * millisecond)
        #expect(rounds.control.hyStart.phase == .conservative)
    }

    @Test("A window that is not used does not grow in either phase [RFC 7661 §4.1, RFC 9406 §4.2]")
    func unused() {
        var rounds = started(50)
        let before = rounds.control.window
        for _ in 0..<8 { rounds.acknowledge(70 * millisecond, isLimited: false) }
        #expect(rounds.control.hyStart.phase == .conservative)
        for _ in 0..<20 { rounds.acknowledge(70 * millisecond, isLimited: false) }
        #expect(rounds.control.window == before)
    }

    @Test("Extreme round trips do no harm", arguments: [1, 999, Int64.max, Int64.min, -1])
    func extremes(roundTrip: Int64) {
        var rounds = started(50)
        for _ in 0..<40 { rounds.acknowledge(roundTrip) }
        rounds.round(50 * millisecond)
        #expect(rounds.control.window >= 10_000)
    }
}
