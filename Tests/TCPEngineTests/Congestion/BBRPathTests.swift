import TCPEngine
import TCPWire
import Testing

/// 10 Mb/s, 40 ms, a queue of eight times the product.
private let deep = Bottleneck.Link(rate: 1_250_000, roundTrip: 40_000_000, queue: 400_000)

private func per(_ part: some BinaryInteger, of whole: some BinaryInteger) -> Double { Double(part) / Double(whole) }

@Suite("BBR: what it makes of a path (draft-ietf-ccwg-bbr §3.1, §5.4, §5.5, appendix A)")
struct BBRPathTests {
    @Test("High-Level Design Goals: a clean path is used in full, with a queue of less than 1.5 times the BDP")
    func clean() {
        var path = Bottleneck(deep)
        path.run(seconds: 1)
        var most = 0
        var delivered = 0
        for _ in 0..<90 {
            delivered += path.run(seconds: 0.1) / 10
            most = max(most, path.queued)
        }
        #expect(per(delivered, of: deep.rate) / 9 > 0.95)
        #expect(per(most, of: path.product) < 1.5)
        #expect(path.dropped == 0)
    }

    @Test(
        "A queue of a fortieth of the BDP (200 Mb/s, 100 ms, 64 KiB): at least 85 % of the link, with few losses",
        arguments: [false, true])
    func shallow(sendsQuanta: Bool) {
        let link = Bottleneck.Link(rate: 25_000_000, roundTrip: 100_000_000, queue: 65_536)
        var path = Bottleneck(link, segment: 8948)
        path.sendsQuanta = sendsQuanta
        path.run(seconds: 2)
        let before = (path.dropped, path.sent)
        #expect(per(path.run(seconds: 18), of: link.rate) >= 0.85)
        #expect(per(path.dropped - before.0, of: path.sent - before.1) < 0.01)
    }

    @Test(
        "High-Level Design Goals: with 1 % of random loss (50 Mb/s, 20 ms) at least 85 % of the link", arguments: 1...3)
    func random(seed: UInt32) {
        let link = Bottleneck.Link(rate: 6_250_000, roundTrip: 20_000_000, queue: 125_000, loss: 10_000)
        var path = Bottleneck(link, seed: seed)
        #expect(per(path.run(seconds: 12), of: link.rate) >= 0.85)
    }

    @Test("The bandwidth of a link that halves is believed within a few cycles, and its queue drained")
    func halved() {
        var path = Bottleneck(deep)
        path.run(seconds: 3)
        path.link.rate /= 2
        path.run(seconds: 11)
        let isCruising = path.run(until: .probeCruise)
        #expect(isCruising)
        #expect(per(path.bbr.maximumBandwidth, of: path.link.rate) < 1.1)
        #expect(per(path.run(seconds: 4), of: path.link.rate) > 0.9)
        #expect(per(path.bbr.maximumBandwidth, of: path.link.rate) > 0.97)
    }

    @Test("The bandwidth of a link that doubles is found within a few probes")
    func doubled() {
        var path = Bottleneck(deep)
        path.run(seconds: 3)
        path.link.rate *= 2
        path.run(seconds: 7)
        #expect(per(path.bbr.maximumBandwidth, of: path.link.rate) > 0.97)
        #expect(per(path.run(seconds: 3), of: path.link.rate) > 0.85)
    }

    @Test("Ten times the bandwidth is found, though losses had bounded what is in flight")
    func tenfold() {
        var path = Bottleneck(Bottleneck.Link(rate: 500_000, roundTrip: 40_000_000, queue: 4_000))
        path.run(seconds: 4)
        #expect(path.bbr.longTermInFlight != BBR.unbounded)
        path.link.rate *= 10
        path.link.queue *= 10
        path.run(seconds: 12)
        #expect(per(path.bbr.maximumBandwidth, of: path.link.rate) > 0.9)
    }

    @Test("A tenth of the bandwidth: the losses bring the rate down at once, the filter of two cycles the estimate")
    func tenth() {
        var path = Bottleneck(Bottleneck.Link(rate: 2_500_000, roundTrip: 40_000_000, queue: 50_000))
        path.run(seconds: 3)
        let isCruising = path.run(until: .probeCruise)
        #expect(isCruising)
        path.link.rate /= 10
        path.link.queue /= 4
        path.run(seconds: 0.5)
        #expect(path.bbr.shortTermBandwidth < 1_750_000)
        path.run(seconds: 12)
        #expect(per(path.bbr.maximumBandwidth, of: path.link.rate) < 1.2)
        #expect(per(path.run(seconds: 4), of: path.link.rate) > 0.75)
    }

    @Test("A token bucket: the rate comes down to that of the tokens without losses all the time")
    func policer() {
        // A queue that holds nothing but a packet or two is what a bucket that has run dry is.
        var path = Bottleneck(Bottleneck.Link(rate: 1_250_000, roundTrip: 40_000_000, queue: 3_000))
        path.run(seconds: 5)
        let before = (path.dropped, path.sent)
        #expect(per(path.run(seconds: 10), of: path.link.rate) > 0.75)
        #expect(per(path.dropped - before.0, of: path.sent - before.1) < 0.03)
    }

    @Test("BBR.extra_acked: acknowledgments in bursts widen the window, so that the sender never stalls")
    func aggregation() {
        var link = deep
        link.burst = 40_000_000
        var path = Bottleneck(link)
        path.run(seconds: 3)
        #expect(path.bbr.wasFull)
        #expect(per(path.bbr.extraAcknowledged, of: path.product) > 0.3)
        #expect(per(path.run(seconds: 6), of: link.rate) > 0.9)
        #expect(per(path.bbr.maximumBandwidth, of: link.rate) < 1.1, "bursts of ACKs are no bandwidth")
    }

    @Test("Minimum cwnd for Pipelining: a BDP of less than a packet still has four in flight")
    func subPacket() {
        var path = Bottleneck(Bottleneck.Link(rate: 25_000, roundTrip: 10_000_000, queue: 15_000))
        path.run(seconds: 10)
        let least = Int(path.bbr.window)
        #expect(least >= 4 * 1448)
        #expect(per(path.run(seconds: 20), of: path.link.rate) > 0.9)
        #expect(path.bbr.window >= 4 * 1448)
        #expect(per(path.bbr.maximumBandwidth, of: path.link.rate) < 1.15)
    }

    @Test("Application-limited Delivery Rate Samples do not lower the estimate [BBR-14]")
    func applicationLimited() {
        var path = Bottleneck(deep)
        path.run(seconds: 3)
        path.backlog = 0
        path.write = (1448, 20_000_000)
        let delivered = path.run(seconds: 12)
        #expect(per(delivered, of: deep.rate) < 0.1)
        #expect(per(path.bbr.maximumBandwidth, of: deep.rate) > 0.97)
        path.backlog = nil
        path.run(seconds: 0.2)
        #expect(per(path.run(seconds: 2), of: deep.rate) > 0.88, "and the rate is there when it is asked for")
    }

    @Test("Application-limited Delivery Rate Samples count when they are more than was known [BBR-14]")
    func applicationLimitedGrowth() {
        var path = Bottleneck(deep)
        path.backlog = 0
        path.write = (14480, 100_000_000)
        path.run(seconds: 2)
        let first = path.bbr.maximumBandwidth
        #expect(first > 0)
        path.write = (43440, 100_000_000)
        path.run(seconds: 2)
        #expect(path.bbr.maximumBandwidth > first)
    }

    @Test("Restarting From Idle: at the estimated bandwidth, without ProbeRTT however long the silence was [BBR-13]")
    func idleRestart() {
        var path = Bottleneck(deep)
        path.run(seconds: 3)
        path.backlog = 0
        path.write = (2896, 8_000_000_000)
        path.run(seconds: 1)
        #expect(path.inFlight == 0)
        let before = path.changes.count
        path.run(seconds: 14)
        path.backlog = nil
        var isRestart = false
        while path.inFlight == 0, path.step(before: .distantFuture) {}
        isRestart = path.bbr.isIdleRestart
        #expect(isRestart)
        let rate = Double(path.bbr.bandwidth) * 0.99
        #expect(abs(Double(path.bbr.pacingRate) - rate) <= 2)
        #expect(per(path.bbr.bandwidth, of: deep.rate) > 0.97)
        path.run(seconds: 0.5)
        #expect(!path.bbr.isIdleRestart)
        #expect(path.changes.dropFirst(before).allSatisfy { $0.state != .probeRoundTrip })
        #expect(per(path.run(seconds: 1), of: deep.rate) > 0.9)
    }

    @Test("Restarting From Idle: a silence in ProbeRTT may have been all of it")
    func idleInProbeRoundTrip() {
        var path = Bottleneck(deep)
        let isProbing = path.run(until: .probeRoundTrip)
        #expect(isProbing)
        path.run(seconds: 0.08)
        path.backlog = 0
        path.run(seconds: 1)
        #expect(path.bbr.state == .probeRoundTrip)
        #expect(path.inFlight == 0)
        let held = path.bbr.window
        path.rate.markApplicationLimited(inFlight: 0)
        path.backlog = nil
        path.run(seconds: 0.001)
        #expect(path.bbr.state == .probeCruise)
        #expect(path.bbr.window > held)
    }

    @Test("A link that loses everything for a while: the timeout, and then the rate of before")
    func outage() {
        var path = Bottleneck(deep)
        path.run(seconds: 2)
        path.link.loss = 1_000_000
        path.run(seconds: 4)
        path.link.loss = 0
        path.run(seconds: 3)
        #expect(per(path.run(seconds: 1), of: deep.rate) > 0.9)
    }
}
