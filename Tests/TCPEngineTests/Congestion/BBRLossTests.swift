import TCPEngine
import TCPWire
import Testing

private let deep = Bottleneck.Link(rate: 1_250_000, roundTrip: 40_000_000, queue: 400_000)

private func made(window: UInt32 = 14480) -> BBR {
    BBR(segmentSize: 1448, now: .zero, initialWindow: window, smoothedRoundTrip: 40_000_000, random: 7)
}

@Suite("BBR: losses, marks, repair (draft-ietf-ccwg-bbr §3.7, §5.5.10, §5.6)")
struct BBRLossTests {
    @Test("Pacing Rate: the first is the initial window over the round trip, or over a millisecond")
    func initialRate() {
        let known = made()
        #expect(known.pacingRate == UInt64(14480 * 25) * 277 / 100)
        #expect(known.window == 14480)
        var unknown = BBR(
            segmentSize: 1448, now: .zero, initialWindow: 14480, smoothedRoundTrip: 0, random: 0)
        #expect(unknown.pacingRate == UInt64(14480 * 1000) * 277 / 100)
        var rate = DeliveryRate(now: .zero)
        var signal = CongestionSignal(now: Instant(nanoseconds: 40_000_000), segmentSize: 1448)
        signal.smoothedRoundTrip = 40_000_000
        unknown.acknowledge(signal, RateSample(), &rate)
        #expect(unknown.pacingRate == known.pacingRate)
    }

    @Test("Send Quantum: a millisecond's worth, at least two segments, at most 64 KiB [BBR-17]")
    func quantum() {
        #expect(made().sendQuantum == 2896)
        #expect(made(window: 200_000).sendQuantum == 13850)
        #expect(made(window: 1 << 26).sendQuantum == 65536)
    }

    @Test(
        "Upon a retransmission timeout the window is what is in flight and a segment; repaired, it is what it was [BBR-18]"
    )
    func timeout() {
        var path = Bottleneck(deep)
        path.run(seconds: 2)
        let window = path.bbr.window
        path.bbr.timeout(inFlight: 2896)
        #expect(path.bbr.window == 2896 + 1448)
        path.bbr.timeout(inFlight: 0)
        #expect(path.bbr.window == 1448)
        path.bbr.endRecovery()
        #expect(path.bbr.window == window)
    }

    @Test("cwnd Adjustment Mechanism: after a timeout the window grows by what is delivered, no faster")
    func growth() {
        var path = Bottleneck(deep)
        path.run(seconds: 2)
        path.bbr.timeout(inFlight: 4344)
        var sample = RateSample()
        sample.hasData = true
        sample.newlyAcked = 2896
        sample.deliveryRate = 1_000_000
        sample.isAppLimited = true
        path.bbr.acknowledge(path.signal(inFlight: 2896), sample, &path.rate)
        #expect(path.bbr.window == 5792 + 2896)
    }

    @Test(
        "When not Probing for Bandwidth: a round with a loss brings the bounds to what was delivered, by 30 % at most [BBR-15]"
    )
    func lowerBounds() {
        var path = Bottleneck(deep)
        path.run(seconds: 1)
        #expect(path.bbr.state == .probeCruise)
        #expect(path.bbr.shortTermBandwidth == BBR.unboundedRate)
        let window = path.bbr.window
        path.loseNow()
        #expect(path.bbr.shortTermBandwidth == BBR.unboundedRate, "not before the round is over")
        path.run(seconds: 0.1)
        #expect(path.bbr.shortTermBandwidth >= path.bbr.maximumBandwidth * 7 / 10)
        #expect(path.bbr.shortTermInFlight >= window * 7 / 10)
        #expect(path.bbr.shortTermInFlight < window)
        // What the path delivers is still all of the link: nothing to come down for.
        #expect(Double(path.bbr.bandwidth) / Double(deep.rate) > 0.97)
    }

    @Test(
        "When not Probing for Bandwidth: a path that delivers a fifth of it brings the rate down by 30 % a round [BBR-15]"
    )
    func beta() {
        var path = Bottleneck(deep)
        path.run(seconds: 1)
        let before = path.bbr.maximumBandwidth
        path.link.rate /= 5
        path.run(seconds: 0.8)
        path.loseNow()
        while path.bbr.shortTermBandwidth == BBR.unboundedRate, path.step(before: .distantFuture) {}
        #expect(Double(path.bbr.shortTermBandwidth) / Double(before) < 0.71)
        #expect(Double(path.bbr.shortTermBandwidth) / Double(before) > 0.69)
        #expect(path.bbr.bandwidth == path.bbr.shortTermBandwidth)
    }

    @Test("Probing for Bandwidth In ProbeBW: two segments lost of a flight of seventy do not end a probe, three do")
    func chance() {
        for (losses, ends) in [(2, false), (3, true)] {
            var path = Bottleneck(Bottleneck.Link(rate: 1_250_000, roundTrip: 80_000_000, queue: 400_000))
            let isUp = path.run(until: .probeUp)
            #expect(isUp)
            #expect((95_000...108_000).contains(path.inFlight))
            path.loseNow(segments: losses)
            #expect((path.bbr.state == .probeDown) == ends)
            #expect((path.bbr.longTermInFlight != BBR.unbounded) == ends)
        }
    }

    @Test("Probing for Bandwidth In ProbeBW: without SACK one loss ends a probe")
    func noSACK() {
        var path = Bottleneck(deep)
        let isUp = path.run(until: .probeUp)
        #expect(isUp)
        path.bbr.hasSelectiveAcknowledgments = false
        path.loseNow()
        #expect(path.bbr.state == .probeDown)
    }

    @Test("InflightAtLoss: of a burst that is lost in part, what came before the losses passed 2 %")
    func inFlightAtLoss() {
        var path = Bottleneck(deep)
        let isUp = path.run(until: .probeUp)
        #expect(isUp)
        // 200,000 octets in flight with it, of which it is 64,000: 2 % are passed 136,000 / 49 octets into it.
        let (stamp, word) = path.rate.stamp(now: path.now, inFlightBefore: 136_000, length: 64_000)
        path.rate.lose(64_000)
        path.bbr.lose(stamp, word, octets: 64_000, from: SequenceNumber(0), path.rate, now: path.now)
        #expect(path.bbr.longTermInFlight == 136_000 + 136_000 / 49)
    }

    @Test("HandleInflightTooHigh: no deeper than 0.7 of the target, and never for what the application limited")
    func longTermFloor() {
        for isLimited in [false, true] {
            var path = Bottleneck(deep)
            let isUp = path.run(until: .probeUp)
            #expect(isUp)
            if isLimited { path.rate.markApplicationLimited(inFlight: path.inFlight) }
            let target = UInt32(Double(path.bbr.bandwidth) * Double(path.bbr.minimumRoundTrip) / 1e9)
            let (stamp, word) = path.rate.stamp(now: path.now, inFlightBefore: 8_000, length: 8_000)
            path.rate.lose(8_000)
            path.bbr.lose(stamp, word, octets: 8_000, from: SequenceNumber(0), path.rate, now: path.now)
            #expect(path.bbr.state == .probeDown)
            let bound = path.bbr.longTermInFlight
            #expect(isLimited ? bound == BBR.unbounded : abs(Int(bound) - Int(target) * 7 / 10) <= 2)
        }
    }

    @Test("ECN: a mark ends Startup, ends a probe, and is a loss to the short-term bounds [BBR-2]")
    func marks() {
        var path = Bottleneck(deep)
        path.run(seconds: 0.15)
        #expect(path.bbr.state == .startup)
        path.bbr.markCongestion(path.signal(inFlight: path.inFlight), RateSample(), path.rate)
        path.run(seconds: 0.02)
        #expect(path.bbr.state != .startup)
        #expect(path.bbr.longTermInFlight != BBR.unbounded)

        path = Bottleneck(deep)
        path.run(seconds: 1)
        #expect(path.bbr.state == .probeCruise)
        path.bbr.markCongestion(path.signal(inFlight: path.inFlight), RateSample(), path.rate)
        path.run(seconds: 0.1)
        #expect(path.bbr.shortTermInFlight != BBR.unbounded)

        let isUp = path.run(until: .probeUp)
        #expect(isUp)
        var sample = RateSample()
        sample.hasData = true
        sample.txInFlight = UInt32(path.inFlight)
        path.bbr.markCongestion(path.signal(inFlight: path.inFlight), sample, path.rate)
        #expect(path.bbr.state == .probeDown)
        #expect(path.bbr.longTermInFlight == UInt32(path.inFlight))
    }

    @Test("Application-limited samples are not what a cycle of probing measured [BBR-14]")
    func limitedCycle() {
        var path = Bottleneck(deep)
        let isUp = path.run(until: .probeUp)
        #expect(isUp)
        let isCruising = path.run(until: .probeCruise)
        #expect(isCruising)
        path.backlog = 0
        path.write = (1448, 20_000_000)
        for _ in 0..<3 {
            let isUpAgain = path.run(until: .probeUp)
            #expect(isUpAgain)
            path.run(seconds: 0.2)
            path.loseNow(segments: 5)
            #expect(path.bbr.state == .probeDown)
            // Each cycle ends with a sample that is not limited, and has no rate.
            var sample = RateSample()
            sample.hasData = true
            sample.priorDelivered = path.rate.delivered
            path.bbr.acknowledge(path.signal(), sample, &path.rate)
            #expect(Double(path.bbr.maximumBandwidth) / Double(deep.rate) > 0.97)
        }
    }

    @Test("A control is less than 400 bytes")
    func size() { #expect(MemoryLayout<BBR>.size < 400, "\(MemoryLayout<BBR>.size)") }
}
