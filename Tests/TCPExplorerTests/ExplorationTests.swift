import TCPExplorer
import Testing

@Suite struct ExplorationTests {
    #if DEBUG
        static let depth = 3
    #else
        static let depth = 4
    #endif

    @Test("Nothing is violated in any order of a few steps", arguments: ExplorationKind.allCases)
    func short(kind: ExplorationKind) {
        let result = Exploration(kind, depth: ExplorationTests.depth).run()
        for violation in result.violations {
            Issue.record("\(violation.sceneName): \(violation.explanation) \(violation.steps())")
        }
        #expect(result.violations.isEmpty)
        #expect(result.states > 100 && result.transitions > result.states)
        #expect(result.scenes.map(\.transitions).reduce(0, +) == result.transitions)
    }

    @Test("The same seed gives the same exploration, and another seed the same figures")
    func repeatable() {
        let first = Exploration(.close, depth: 3, seed: 1).run()
        let second = Exploration(.close, depth: 3, seed: 1).run()
        let other = Exploration(.close, depth: 3, seed: 7).run()
        #expect(first.states == second.states && first.transitions == second.transitions)
        #expect(first.states == other.states && first.transitions == other.transitions)
    }

    @Test("An exploration with more worlds than it may remember ends early, and says so")
    func bounded() {
        var explorer = SceneExplorer(ExplorationKind.close.scenes[0], depth: 6)
        explorer.stateLimit = 500
        explorer.run()
        #expect(!explorer.isComplete && explorer.stateCount < 600)
    }

    @Test("A move keeps its meaning in sixteen bits")
    func codes() {
        for move: Move in [.deliver(0), .deliver(900), .deliverCopy(3), .lose(8191), .timer(1), .act(0), .abort(1)] {
            #expect(Move(code: move.code) == move)
        }
    }
}
