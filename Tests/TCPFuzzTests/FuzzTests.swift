import TCPEngine
import TCPFuzz
import Testing

/// A broken rule ends the process: `Fuzzing/run TARGET` finds the input again, and `FUZZ_TRACE=1` says what it does.
@Suite("Hostile inputs break no rule")
struct FuzzTests {
    /// How many inputs of a target are tried here; `Fuzzing/run` tries millions.
    static func count(_ target: FuzzTarget) -> Int {
        let isLive = target == .stack || target == .wire
        #if DEBUG
            return isLive ? 40 : 200
        #else
            return isLive ? 6_000 : 20_000
        #endif
    }

    @Test("Each seed, those of mended faults among them, does no harm", arguments: Inputs.seeds)
    func seeds(_ seed: Inputs.Seed) {
        #expect(!seed.bytes.isEmpty)
        seed.target.run(seed.bytes.span.bytes)
    }

    @Test("Every target has seeds", arguments: FuzzTarget.allCases)
    func everyTargetHasSeeds(_ target: FuzzTarget) {
        #expect(Inputs.seeds.contains { $0.target == target })
    }

    @Test("Thousands of mutations of the seeds break no rule", arguments: FuzzTarget.allCases)
    func mutations(_ target: FuzzTarget) {
        for number in 0..<Self.count(target) {
            let input = Inputs.mutation(number, target)
            #expect(input.count <= target.maximumLength)
            target.run(input.span.bytes)
        }
    }

    @Test(
        "The fuzzed stack begins with connections in every state",
        arguments: [
            (1, .synSent), (2, .synReceived), (3, .synReceived), (4, .established), (5, .established),
            (6, .established), (7, .established), (8, .established), (9, .finWait1), (10, .finWait2),
            (11, .closeWait), (12, .closing), (13, .lastAck), (14, .timeWait), (15, .established),
        ] as [(UInt8, State)])
    func prologue(choice: UInt8, state: State) {
        #expect(FuzzTarget.prologueStates(choice) == [state])
        // With sequence numbers that wrap, and without timestamps.
        #expect(FuzzTarget.prologueStates(choice | 0x30) == [state])
    }
}
