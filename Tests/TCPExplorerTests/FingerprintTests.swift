import TCPExplorer
import Testing

@Suite struct FingerprintTests {
    #if DEBUG
        static let depth = 2
    #else
        static let depth = 3
    #endif

    static let scenes = ExplorationKind.allCases.flatMap(\.scenes)

    @Test("Knowing worlds again hides no outcome: without it the same are reached", arguments: scenes)
    func outcomes(scene: Scene) {
        var remembering = SceneExplorer(scene, depth: FingerprintTests.depth)
        remembering.collectsOutcomes = true
        remembering.run()
        var forgetting = remembering.fresh()
        forgetting.remembers = false
        forgetting.run()
        #expect(remembering.outcomes == forgetting.outcomes)
        #expect(remembering.stateCount < forgetting.stateCount)
    }

    @Test("Worlds with one fingerprint go on alike", arguments: scenes)
    func audit(scene: Scene) {
        var explorer = SceneExplorer(scene, depth: FingerprintTests.depth)
        explorer.auditInterval = 1
        explorer.run()
        #expect(explorer.auditCount > 0)
        #expect(explorer.auditFailures.isEmpty)
    }

    @Test("A fingerprint that forgets something is found out")
    func forgetful() {
        let scene = Scene(
            "half-close", client: Programme([.close]), server: Programme([.write(2), .close]), after: .established)
        var explorer = SceneExplorer(scene, depth: 6, fault: .forgetfulFingerprint)
        explorer.auditInterval = 1
        explorer.run()
        #expect(!explorer.auditFailures.isEmpty)
    }
}
