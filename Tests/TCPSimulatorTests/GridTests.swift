import TCPEngine
import TCPSimulator
import TCPStack
import TCPTrace
import TCPWire
import Testing

@Suite("The grid of bad networks")
struct GridTests {
    @Test("The table has every row with its bound")
    func rows() {
        let entries = Grid.entries(.table)
        func needed(
            _ name: String, _ control: CongestionControl, _ matches: (GridCell) -> Bool = { _ in true }
        ) -> Double? {
            entries.first { $0.name == name && $0.cell.congestion == control && matches($0.cell) }?.requirement?.share
        }
        #expect(needed("clean", .cubic) == 0.95 && needed("shallow", .cubic) == 0.6)
        #expect(needed("shallow", .bbr) == 0.85 && needed("long-fat", .cubic) == 0.9)
        for loss in [0.001, 0.01, 0.03] { #expect(needed("loss", .cubic) { $0.loss == loss } == 0.9) }
        #expect(needed("loss", .bbr) { $0.loss == 0.01 } == 0.85)
        #expect(needed("reordering", .cubic) { $0.reordering == 0.03 } == 0.95)
        #expect(needed("jitter", .cubic) { $0.jitter == .milliseconds(10) } == 0.95)
        for flows in [4, 16] {
            let entry = entries.first { $0.name == "fairness" && $0.cell.flows == flows }
            #expect(entry?.requirement?.share == 0.95 && entry?.requirement?.jain == 0.95)
        }
        let marking = entries.first { $0.name == "marking" }?.requirement
        #expect(marking?.meanQueue == 0.5 && marking?.isLossless == true && marking?.share == 0.95)
        // Sixteen connections of BBR are shown, not held to anything.
        #expect(
            entries.filter { $0.requirement == nil }.map(\.name) == ["fairness"]
                && entries.allSatisfy { $0.requirement != nil || $0.cell.congestion == .bbr && $0.cell.flows == 16 })
    }

    @Test("A control alone has its own cells, and the full grid every combination besides the table")
    func sizes() {
        let table = Grid.entries(.table)
        let parts = CongestionControl.allCases.map { Grid.entries(.table, congestion: [$0]) }
        #expect(parts.reduce(0) { $0 + $1.count } == table.count)
        for (part, control) in zip(parts, CongestionControl.allCases) {
            #expect(!part.isEmpty && part.allSatisfy { $0.cell.congestion == control })
        }
        let full = Grid.entries(.full)
        #expect(full.prefix(table.count).elementsEqual(table))
        // Rates, round trips, queues, losses, reordering, connections, controls.
        #expect(full.count - table.count == 3 * 2 * 2 * 3 * 2 * 2 * 3)
        #expect(Set(full.map(\.cell)).count == full.count)
        #expect(Grid.entries(.short).allSatisfy { $0.cell.flows <= 4 && $0.cell.bytes <= 16_000_000 })
    }

    @Test("Mathis' formula and CUBIC's response function give what RFC 9438's tables have")
    func response() {
        // RFC 9438 §5.1, table 1: windows in segments, with a round trip of 0.1 s.
        func window(_ bits: Double) -> Double { bits * 0.1 / 8 / 1500 }
        for (loss, segments) in [(1e-4, 187.0), (1e-6, 5926.0), (1e-8, 187_400.0)] {
            let cubic = ResponseFunction.cubic(loss: loss, roundTrip: .milliseconds(100), segment: 1500)
            #expect(abs(window(cubic) / segments - 1) < 0.01, "\(loss)")
        }
        // 1.22 segments over the root of the loss, every round trip.
        for (loss, segments) in [(1e-4, 122.0), (1e-2, 12.2), (0.25, 2.44)] {
            let mathis = ResponseFunction.mathis(loss: loss, roundTrip: .milliseconds(100), segment: 1500)
            #expect(abs(window(mathis) / segments - 1) < 1e-9, "\(loss)")
        }
    }

    private func result(
        goodput: Double, bound: Double, _ requirement: GridRequirement?,
        _ change: (inout Transfer.Report) -> Void = { _ in }
    ) -> GridResult {
        var transfer = Transfer(bytes: 1000, link: LinkConfiguration(rate: 1e6))
        transfer.flows = 2
        var report = transfer.run()
        report.jain = 1
        change(&report)
        let cell = GridCell(rate: 1e6, roundTrip: .milliseconds(80), queue: 10_000, congestion: .cubic)
        return GridResult(
            entry: GridEntry("name", Phrase("", ""), cell, requirement), report: report, goodput: goodput,
            capacity: 0.965e6, bound: bound)
    }

    @Test("A bound is reached at exactly its share and missed below, and so are fairness, queue, loss and intactness")
    func verdicts() {
        var requirement = GridRequirement(share: 0.75)
        #expect(result(goodput: 0.75e6, bound: 1e6, requirement).isReached == true)
        #expect(result(goodput: 0.749e6, bound: 1e6, requirement).isReached == false)
        #expect(result(goodput: 0, bound: 1e6, nil).isReached == nil)
        #expect(result(goodput: 1e6, bound: 1e6, requirement) { $0.isIntact = false }.isReached == false)
        #expect(result(goodput: 1e6, bound: 1e6, requirement) { $0.outcome = .timeLimit }.isReached == false)
        requirement.jain = 0.95
        #expect(result(goodput: 1e6, bound: 1e6, requirement) { $0.jain = 0.95 }.isReached == true)
        #expect(result(goodput: 1e6, bound: 1e6, requirement) { $0.jain = 0.949 }.isReached == false)
        requirement.isLossless = true
        #expect(result(goodput: 1e6, bound: 1e6, requirement).isReached == true)
        #expect(result(goodput: 1e6, bound: 1e6, requirement) { $0.lost = 1 }.isReached == false)
        // The path holds 10,000 octets.
        requirement.meanQueue = 0.5
        #expect(result(goodput: 1e6, bound: 1e6, requirement) { $0.together?.meanBacklog = 5000 }.isReached == true)
        #expect(result(goodput: 1e6, bound: 1e6, requirement) { $0.together?.meanBacklog = 5001 }.isReached == false)
    }

    #if !DEBUG
        /// Rows that a sender does not reach without a control that looks past losses by chance, a recovery that
        /// reordering does not deceive, and Explicit Congestion Notification.
        private static let beyond: Set<String> = ["loss", "reordering", "marking"]

        /// 16 MB a connection: release builds only.
        @Test("Every network in short leaves every octet intact, and carries no more than its link and its queue can")
        func short() {
            for entry in Grid.entries(.short) {
                let result = entry.run()
                let (cell, report) = (entry.cell, result.report)
                let name = "\(entry.name), \(cell.congestion), \(cell.loss)"
                #expect(report.isIntact && report.outcome == .idle, "\(name)")
                #expect(report.delivered == cell.bytes * cell.flows, "\(name)")
                // No more than the link carries, but for what waited behind a gap when measuring began: no more than the
                // path and the queue in front of it hold.
                let held = cell.rate / 8 * Double(cell.roundTrip.nanoseconds) / 1e9 + Double(cell.queue)
                let most = 1.005 + held / Double(cell.bytes * cell.flows)
                #expect(result.payloadShare > 0.01 && result.payloadShare < most, "\(name)")
                #expect(result.bound <= result.capacity * most, "\(name)")
                #expect(report.highestBacklog <= cell.queue && result.meanQueue <= Double(cell.queue), "\(name)")
                #expect((cell.marking != nil && cell.explicitCongestion != .off) || report.marked == 0, "\(name)")
                if !GridTests.beyond.contains(entry.name) { #expect(result.isReached == true, "\(name)") }
            }
        }
    #endif
}
