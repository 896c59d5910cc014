import TCPEngine
import TCPSimulator
import TCPStack
import TCPTrace
import TCPWire
import Testing

#if DEBUG
    private let size = 100_000
#else
    private let size = 2_000_000
#endif

@Suite("Transfers over several connections")
struct FlowTests {
    private func transfer(_ flows: Int, bytes: Int = size, rate: Double = 20e6) -> Transfer {
        var transfer = Transfer(
            bytes: bytes, link: LinkConfiguration(rate: rate, delay: .milliseconds(5), queue: 40_000))
        transfer.flows = flows
        transfer.fitMemory()
        return transfer
    }

    @Test("Jain's index is 1 for equal shares, 1/n if one has all, and what the formula says between")
    func jain() {
        #expect(Transfer.jain([5, 5, 5]) == 1)
        #expect(Transfer.jain([7, 0, 0, 0]) == 0.25)
        #expect(abs(Transfer.jain([1, 2, 3]) - 36.0 / 42) < 1e-12)
        #expect(Transfer.jain([0, 0]) == 1 && Transfer.jain([3]) == 1)
    }

    @Test(
        "Every connection delivers its own octets, and together they have what the link carries", arguments: [1, 2, 5])
    func sums(flows: Int) throws {
        let transfer = transfer(flows)
        let report = transfer.run()
        #expect(report.isIntact && report.outcome == .idle)
        #expect(report.flows.count == flows && report.flows.allSatisfy { $0.delivered == size })
        #expect(report.delivered == flows * size)
        #expect(abs(report.goodput * report.seconds - Double(8 * flows * size)) < 1)
        #expect(abs((report.flows.map(\.seconds).max() ?? 0) - report.seconds) < 1e-9)
        let together = try #require(report.together)
        #expect(together.delivered.count == flows && together.delivered.max() == size)
        #expect(together.seconds <= report.seconds)
        // No more than the link carries, but for what waited behind a gap when the time began.
        #expect(together.goodput <= 20e6 * transfer.payloadFraction * 1.001)
        #expect(report.jain <= 1 && report.jain >= 1 / Double(flows))
        #expect(report.jain == Transfer.jain(together.delivered.map(Double.init)))
        #expect(report.closedClientMemory.isEmptyButForTimeWait && report.closedServerMemory.isEmptyButForTimeWait)
    }

    @Test("For a given time, every connection sends as long as it lasts, and what comes later is checked, not counted")
    func duration() throws {
        var transfer = transfer(3, rate: 4e6)
        transfer.duration = .milliseconds(400)
        transfer.warmUp = .milliseconds(100)
        let report = transfer.run()
        #expect(report.isIntact && report.outcome == .idle && report.seconds == 0.4)
        #expect(report.flows.allSatisfy { $0.seconds == 0.4 && $0.delivered > 0 })
        #expect(report.delivered == report.flows.reduce(0) { $0 + $1.delivered })
        let together = try #require(report.together)
        #expect(abs(together.seconds - 0.3) < 1e-9)
        #expect(zip(together.delivered, report.flows).allSatisfy { $0 < $1.delivered })
        #expect(together.delivered.reduce(0, +) <= report.delivered)
    }

    @Test("Staggered connections are compared from when the last of them opens")
    func stagger() throws {
        var transfer = transfer(3, rate: 4e6)
        transfer.duration = .milliseconds(600)
        transfer.stagger = .milliseconds(100)
        let report = transfer.run()
        let together = try #require(report.together)
        #expect(report.isIntact && abs(together.seconds - 0.4) < 1e-9)
        for (flow, seconds) in zip(report.flows, [0.6, 0.5, 0.4]) { #expect(abs(flow.seconds - seconds) < 1e-9) }
        #expect(together.delivered[0] < report.flows[0].delivered)
        #expect(together.delivered[2] == report.flows[2].delivered)
    }

    @Test("Where there is no time when all are there, there is nothing to compare in it")
    func never() {
        var transfer = transfer(2, bytes: 10_000)
        transfer.stagger = .seconds(5)
        let report = transfer.run()
        #expect(report.isIntact && report.together == nil)
        #expect(abs(report.jain - 1) < 0.01)
    }

    @Test("Faults of one direction leave the other alone")
    func directions() {
        var transfer = transfer(1)
        transfer.faults.loss = 1
        transfer.replyFaults = LinkFaults()
        transfer.configuration.openTimeout = .seconds(181)
        let silent = transfer.run()
        #expect(silent.delivered == 0 && !silent.isIntact && silent.lost == silent.packets)
        // The other way round the server's answers are lost, and no SYN is.
        (transfer.faults, transfer.replyFaults) = (LinkFaults(), LinkFaults(loss: 1))
        let deaf = transfer.run()
        #expect(deaf.delivered == 0 && deaf.lost > 0 && deaf.lost < deaf.packets)
    }

    @Test("The mean of what waits lies between nothing and the queue, and the most that waits fits it")
    func queue() throws {
        let report = transfer(2).run()
        let together = try #require(report.together)
        #expect(together.meanBacklog > 0 && together.meanBacklog < Double(report.highestBacklog))
        #expect(report.highestBacklog <= 40_000 && report.highestBacklog > 30_000)
        #expect(report.dropped == report.lost)
    }

    @Test("A connection finds the rate again that a link falls to, and the one that it rises to")
    func rateSteps() {
        func delivered(_ changes: [RateChange]) -> Double {
            var transfer = transfer(1, rate: 8e6)
            transfer.link.rateChanges = changes
            transfer.duration = .milliseconds(900)
            let report = transfer.run()
            #expect(report.isIntact && report.outcome == .idle)
            return Double(report.delivered) * 8 / transfer.payloadFraction
        }
        let fall = RateChange(after: .milliseconds(300), to: 2e6)
        let rise = RateChange(after: .milliseconds(600), to: 8e6)
        let (steady, fallen, risen) = (delivered([]), delivered([fall]), delivered([fall, rise]))
        // The link carries 7.2, 3.6 and 5.4 Mbit in this time.
        #expect(steady <= 7.2e6 && steady > 6e6)
        #expect(fallen <= 3.6e6 && fallen > 2.7e6)
        #expect(risen <= 5.4e6 && risen > fallen + 0.9e6)
    }

    @Test("With bundles, or data both ways, nobody can tell what was sent again for nothing")
    func needless() {
        var transfer = transfer(1, bytes: 50_000)
        #expect(transfer.run().needless == 0)
        transfer.replyBytes = 1000
        #expect(transfer.run().needless == nil)
        transfer.replyBytes = 0
        transfer.link.superSegments = true
        #expect(transfer.run().needless == nil)
    }

    @Test("1448 of 1500 octets are payload over IPv4 with timestamps, and 1428 over IPv6")
    func payload() {
        var transfer = transfer(1)
        #expect(abs(transfer.payloadFraction - 1448.0 / 1500) < 1e-12)
        transfer.options.ipv6 = true
        #expect(abs(transfer.payloadFraction - 1428.0 / 1500) < 1e-12)
        transfer.configuration.timestamps = false
        #expect(abs(transfer.payloadFraction - 1440.0 / 1500) < 1e-12)
    }
}
