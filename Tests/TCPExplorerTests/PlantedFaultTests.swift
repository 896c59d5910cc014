import TCPExplorer
import TCPTrace
import Testing

/// Each check finds the fault that is planted for it, on the shortest path there is.
@Suite struct PlantedFaultTests {
    static let opening = Scene(
        "opening", client: Programme([.open, .write(2), .close]), server: Programme([.write(2), .close]),
        after: .listening)
    static let open = Scene(
        "open", client: Programme([.write(2), .close]), server: Programme([.write(2), .close]), after: .established)

    struct Plan: Sendable, CustomTestStringConvertible {
        var fault: PlantedFault
        var rule: Finding.Rule
        var scene: Scene
        /// Moves of the shortest path on which it shows, the fair end aside.
        var moves: Int
        var testDescription: String { "\(fault)" }
    }

    static let plans = [
        Plan(fault: .wireChangesData, rule: .stream, scene: open, moves: 1),
        Plan(fault: .wireAddsFin, rule: .endOfStream, scene: open, moves: 1),
        Plan(fault: .wireRepeats, rule: .storm, scene: open, moves: 1),
        Plan(fault: .forgedHandshake, rule: .ghost, scene: opening, moves: 0),
        Plan(fault: .stoppedClock, rule: .deadlock, scene: opening, moves: 2),
        Plan(fault: .unfiredTimers, rule: .timers, scene: opening, moves: 2),
        Plan(fault: .neverCloses, rule: .fairEnd, scene: open, moves: 0),
        Plan(fault: .keepsHandles, rule: .fairEnd, scene: open, moves: 0),
        Plan(fault: .forgottenListener, rule: .memory, scene: open, moves: 0),
        Plan(fault: .hidesStateChange, rule: .states, scene: opening, moves: 0),
        Plan(fault: .losesOctet, rule: .stream, scene: open, moves: 0),
        Plan(fault: .ignoresReads, rule: .completeness, scene: open, moves: 0),
    ]

    @Test("A planted fault is found", arguments: plans)
    func found(plan: Plan) throws {
        var explorer = SceneExplorer(plan.scene, depth: 3, fault: plan.fault)
        explorer.violationLimit = 1
        explorer.run()
        let violation = try #require(explorer.violations.first)
        #expect(violation.rule == plan.rule.rawValue, "\(violation.explanation)")
        #expect(violation.path.count <= plan.moves, "\(violation.steps())")
    }

    @Test("Every planted fault but the fingerprint's has a plan")
    func complete() {
        let planned = Set(PlantedFaultTests.plans.map(\.fault))
        #expect(planned == Set(PlantedFault.allCases.filter { $0 != .forgetfulFingerprint }))
    }

    @Test("Without a fault the same scenes hold", arguments: [opening, open])
    func holds(scene: Scene) {
        var explorer = SceneExplorer(scene, depth: 3)
        explorer.run()
        for violation in explorer.violations { Issue.record("\(violation.explanation) \(violation.steps())") }
    }

    @Test("What does not hold is told in steps, drawn as a ladder, and written as a script")
    func shown() throws {
        var explorer = SceneExplorer(PlantedFaultTests.opening, depth: 3, fault: .unfiredTimers)
        explorer.violationLimit = 1
        explorer.run()
        let violation = try #require(explorer.violations.first)
        #expect(violation.steps().first == "over a fair network: the client opens")
        let drawing = Ladder(violation.trace()).lines().joined(separator: "\n")
        #expect(drawing.contains("SYN-SENT") && drawing.contains("client"))
        let script = violation.script()
        #expect(script.contains("0.000 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3"))
        #expect(script.contains { $0.hasSuffix("connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)") })
        #expect(script.contains { $0.contains("> S 0:0(0) win 4096 <mss 1460,nop,nop,sackOK>") })
    }

    @Test("A script of the server's side names what it receives and what it sends, with times from line to line")
    func serverScript() throws {
        var explorer = SceneExplorer(PlantedFaultTests.open, depth: 1, fault: .wireAddsFin)
        explorer.violationLimit = 1
        explorer.run()
        let script = try #require(explorer.violations.first).script()
        let calls = script.drop { !$0.contains("listen(3, 1) = 0") }.dropFirst()
        #expect(calls.contains { $0.contains("< S 0:0(0) win 4096 <mss 1460,nop,nop,sackOK>") })
        #expect(calls.contains("+0 > S. 0:0(0) ack 1 win 4096 <mss 1460,nop,nop,sackOK>"))
        #expect(calls.contains("+0.000131072 < . 1:1(0) ack 1 win 4096"))
        #expect(calls.contains("+0 accept(3, ..., ...) = 4"))
        #expect(calls.contains("+0 < FP. 1:3(2) ack 1 win 4096"))
    }
}
