import TCPEngine
import TCPStack
import TCPWire
import Testing

/// `Stack.info`: each figure against what was on the wire.
@Suite("What a program can see of its connection")
struct InfoTests {
    private static let mss = 1400

    /// A connection with a round trip of 100 ms behind it.
    private func open(
        _ family: Family = .ipv4, _ configuration: Configuration = Configuration(), sack: Bool = true,
        timestamps: Bool = false, window: UInt16 = 65_535, control: CongestionControl = .newReno, paced: Bool = false
    ) -> ScriptedPeer {
        let peer = ScriptedPeer(
            family, configuration,
            offer: ScriptedPeer.Offer(
                mss: UInt16(InfoTests.mss), windowScale: 7, sack: sack, timestamps: timestamps),
            control: control, paced: paced)
        peer.window = window
        peer.establish(rtt: .milliseconds(100))
        return peer
    }

    /// Within a tick or two of the timing wheel.
    private func isAbout(_ duration: Duration, _ milliseconds: Int) -> Bool {
        abs(duration.nanoseconds - Int64(milliseconds) * 1_000_000) < 500_000
    }

    @Test(
        "Before anything was sent it tells the handshake's round trip, and what was agreed",
        arguments: Family.allCases)
    func handshake(family: Family) throws {
        let peer = open(family)
        let info = try #require(peer.info)
        #expect(info.state == .established)
        #expect(info.limit == .application)
        #expect(!info.usesTimestamps && info.usesSelectiveAcknowledgment && info.usesWindowScaling && !info.openedFast)
        #expect(isAbout(info.smoothedRTT, 100) && isAbout(info.variationRTT, 50) && isAbout(info.leastRTT, 100))
        #expect(isAbout(info.retransmissionTimeout, 300) && info.backoff == 0)
        #expect(info.congestionControl == .newReno && info.phase == .slowStart)
        #expect(info.congestionWindow == 14_000 && info.slowStartThreshold == nil)
        #expect(info.pacingRate == nil && info.deliveryRate == nil)
        #expect(info.octetsSent == 0 && info.octetsAcknowledged == 0 && info.octetsReceived == 0)
        #expect(info.maximumSegmentSize == 1400 && info.pathMTU == 1500)
        #expect(info.sendWindow == 65_535 << 7)
        #expect(info.repair == .none && info.inFlight == 0 && info.pipe == 0)
    }

    @Test("In flight, acknowledged and sent follow each segment; the rate is what was delivered in the round trip")
    func transfer() throws {
        let peer = open()
        peer.write(7 * InfoTests.mss)
        var info = try #require(peer.info)
        #expect(info.inFlight == 9800 && info.pipe == 9800 && info.unsent == 0)
        #expect(info.octetsSent == 9800 && info.octetsAcknowledged == 0)
        peer.discard()
        peer.host.advance(by: .milliseconds(100))
        for end in 1...3 { peer.send(.ack, ack: 1 + end * InfoTests.mss) }
        info = try #require(peer.info)
        #expect(info.inFlight == 5600 && info.octetsAcknowledged == 4200 && info.octetsSent == 9800)
        // Three segments in 100 ms, as the program had no more to send than seven.
        #expect(info.deliveryRate == 42_000)
        #expect(info.isDeliveryRateApplicationLimited == false || info.limit == .application)
        peer.send(length: 500)
        #expect(peer.info?.octetsReceived == 500)
    }

    @Test("What goes past 4 GiB is counted on where the sequence numbers start over, once")
    func turns() {
        var counters = ConnectionCounters()
        var offset: UInt32 = 1
        for step: UInt32 in [1 << 30, 1 << 31, (1 << 30) - 2, 0, 1, 7, 0] {
            let before = offset
            offset &+= step
            counters.noteSend(from: before, to: offset)
            counters.noteReceive(from: before, to: offset)
        }
        #expect(offset == 7)
        #expect(counters.sendTurns == 1 && counters.receiveTurns == 1)
    }

    @Test("FIN and SYN are no octets, in whatever way a connection ends", arguments: [true, false])
    func ending(peerCloses: Bool) throws {
        let peer = open()
        peer.write(1000)
        peer.discard()
        peer.send(.ack, ack: 1001)
        peer.send(length: 300)
        if peerCloses {
            peer.send([.fin, .ack], ack: 1001)
            #expect(peer.info?.octetsReceived == 300)
            peer.close()
            peer.discard()
            #expect(peer.info?.octetsSent == 1000)
            peer.send(.ack, ack: 1002)
            #expect(peer.state == .closed)
        } else {
            peer.close()
            peer.discard()
            peer.send(.ack, ack: 1002)
            #expect(peer.info?.octetsAcknowledged == 1000)
            peer.send([.rst, .ack], ack: 1002)
            #expect(peer.state == .closed)
        }
        let info = try #require(peer.info)
        #expect(info.octetsAcknowledged == 1000 && info.octetsSent == 1000 && info.octetsReceived == 300)
    }

    // MARK: Losses

    @Test("A loss that SACK tells of is a recovery: what was lost, sent again and reported stands there [RFC 6675 §5]")
    func recovery() throws {
        let peer = open()
        peer.write(10 * InfoTests.mss)
        peer.discard()
        peer.host.advance(by: .milliseconds(100))
        // The first is lost, four behind it arrive.
        for end in 2...5 { peer.sendSACK(ack: 1, [1 + InfoTests.mss..<1 + end * InfoTests.mss]) }
        var info = try #require(peer.info)
        #expect(info.repair == .fastRecovery && info.recoveries == 1 && info.timeouts == 0)
        #expect(info.lostOctets == UInt64(InfoTests.mss))
        #expect(info.retransmittedSegments == 1 && info.retransmittedOctets == UInt64(InfoTests.mss))
        #expect(info.selectivelyAcknowledged == 4 * InfoTests.mss && info.lostInFlight == 0)
        #expect(info.slowStartThreshold == 7000)
        #expect(peer.host.stack.counters.recoveries == 1)
        peer.send(.ack, ack: 1 + 10 * InfoTests.mss)
        info = try #require(peer.info)
        #expect(info.repair == .none && info.phase == .avoidance && info.congestionWindow == 7000)
        #expect(info.octetsSent == info.octetsAcknowledged, "what is sent again counts once")
    }

    @Test("A D-SACK is counted; a recovery it shows to be spurious is one that was undone [RFC 2883, RFC 4015]")
    func spurious() throws {
        let peer = open()
        peer.write(10 * InfoTests.mss)
        peer.discard()
        peer.host.advance(by: .milliseconds(100))
        for end in 2...5 { peer.sendSACK(ack: 1, [1 + InfoTests.mss..<1 + end * InfoTests.mss]) }
        let before = peer.info?.congestionWindow ?? 0
        #expect(peer.info?.recoveries == 1)
        // The first arrives after all, and then its copy.
        peer.send(.ack, ack: 1 + 5 * InfoTests.mss)
        peer.sendSACK(ack: 1 + 5 * InfoTests.mss, [1..<1 + InfoTests.mss])
        let info = try #require(peer.info)
        #expect(info.duplicateReports == 1 && info.spuriousRecoveries == 1 && info.repair == .none)
        #expect(info.congestionWindow >= 14_000 && info.congestionWindow > before)
        #expect(info.reorderingWindow >= 2)
        #expect(peer.host.stack.counters.spuriousRecoveries == 1)
    }

    @Test("A segment that comes after later ones, and was not sent again, is reordering seen [RFC 8985 §6.2]")
    func reordering() throws {
        let peer = open()
        peer.write(3 * InfoTests.mss)
        peer.discard()
        peer.host.advance(by: .milliseconds(100))
        peer.sendSACK(ack: 1, [1 + 2 * InfoTests.mss..<1 + 3 * InfoTests.mss])
        #expect(peer.info?.hasSeenReordering == false)
        peer.send(.ack, ack: 1 + 3 * InfoTests.mss)
        #expect(peer.info?.hasSeenReordering == true)
        #expect(peer.info?.recoveries == 0)
    }

    @Test("A tail loss probe and a timeout are counted, and the back-off with them [RFC 8985 §7.3, RFC 6298 §5.5]")
    func timers() throws {
        let peer = open()
        peer.write(2 * InfoTests.mss)
        peer.discard()
        peer.host.advance(by: .milliseconds(250))
        var info = try #require(peer.info)
        #expect(info.tailLossProbes == 1 && info.timeouts == 0 && info.retransmittedSegments == 1)
        #expect(peer.host.stack.counters.tailLossProbes == 1)
        peer.host.advance(by: .milliseconds(400))
        info = try #require(peer.info)
        #expect(info.timeouts == 1 && info.repair == .timeout && info.backoff == 1)
        #expect(isAbout(info.retransmissionTimeout, 600))
        #expect(info.lostOctets == UInt64(2 * InfoTests.mss))
        #expect(peer.host.stack.counters.retransmissionTimeouts == 1)
    }

    // MARK: What limits the sender

    @Test("Each thing that holds a sender back is named")
    func limits() throws {
        let idle = open()
        #expect(idle.info?.limit == .application)

        let narrow = open(window: 20)
        narrow.write(20_000)
        #expect(narrow.info?.limit == .receiver, "a window of 2,560 octets")
        narrow.send(.ack, ack: 1 + 1400, window: 0)
        #expect(narrow.info?.limit == .receiver)

        let slow = open()
        slow.write(100_000)
        #expect(slow.info?.limit == .congestion)
        slow.host.advance(by: .milliseconds(100))
        for end in 2...5 { slow.sendSACK(ack: 1, [1 + InfoTests.mss..<1 + end * InfoTests.mss]) }
        #expect(slow.info?.limit == .recovery)

        let full = open()
        full.host.isLinkFull = true
        full.write(5000)
        #expect(full.info?.limit == .link)
        full.host.isLinkFull = false
        full.host.settle()
        #expect(full.info?.limit == .application)

        let small = open()
        small.write(100)
        small.write(100)
        #expect(small.info?.limit == .application, "Nagle's algorithm holds the second back")

        let opening = ScriptedPeer()
        opening.enter(.synSent)
        #expect(opening.info?.limit == .handshake)
    }

    @Test("A send buffer that is full of what is in flight is what limits; without memory it is that")
    func buffers() throws {
        var configuration = Configuration()
        configuration.sendBuffer = 5000
        let peer = open(.ipv4, configuration)
        #expect(peer.write(9000) == 5000)
        #expect(peer.info?.limit == .sendBuffer)

        var poor = Configuration()
        poor.memoryBudget = 512 << 10
        let starved = open(.ipv4, poor)
        while starved.write(100_000) > 0 {}
        #expect(starved.info?.limit == .memory || starved.info?.limit == .congestion)
    }

    @Test("Pacing is what limits while the window has room and the time has not come; its rate stands there")
    func pacing() throws {
        let peer = open(paced: true)
        peer.write(200_000)
        peer.discard()
        peer.host.advance(by: .milliseconds(100))
        for end in 1...10 { peer.send(.ack, ack: 1 + end * InfoTests.mss) }
        let info = try #require(peer.info)
        #expect(info.limit == .pacing)
        // RFC 9406 §5 and what follows from it: twice the window in a round trip.
        let rate = try #require(info.pacingRate)
        let seconds = Double(info.smoothedRTT.components.attoseconds) / 1e18
        #expect(abs(Double(rate) - 2 * Double(info.congestionWindow) / seconds) < 2)
    }

    // MARK: What a program can choose

    @Test("A limit to the rate holds without pacing, and goes when it is taken away")
    func maximumRate() throws {
        let peer = open()
        peer.setOptions { $0.maximumPacingRate = 14_000 }
        #expect(peer.info?.pacingRate == 14_000)
        peer.write(100_000)
        #expect(peer.history.map(\.length).reduce(0, +) <= 14_000, "no more than an initial window leaves at once")
        let before = try #require(peer.info).octetsSent
        for _ in 0..<20 {
            peer.host.advance(by: .milliseconds(50))
            peer.send(.ack, ack: 1 + Int(peer.info?.octetsSent ?? 0))
            #expect(peer.info?.limit == .pacing)
        }
        let sent = Int(try #require(peer.info).octetsSent - before)
        #expect(abs(sent - 14_000) <= 2 * InfoTests.mss, "\(sent) octets in a second")
        peer.setOptions { $0.maximumPacingRate = nil }
        #expect(peer.info?.pacingRate == nil)
        #expect(peer.info?.limit == .congestion)
    }

    @Test(
        "Another control goes on with the window there is, and its memory comes and goes with it",
        arguments: CongestionControl.allCases, CongestionControl.allCases)
    func change(from: CongestionControl, to: CongestionControl) throws {
        let peer = open(control: from)
        peer.write(200_000)
        peer.discard()
        peer.host.advance(by: .milliseconds(100))
        for end in 1...10 { peer.send(.ack, ack: 1 + end * InfoTests.mss) }
        let before = try #require(peer.info)
        #expect(before.congestionControl == from)
        let held = peer.host.stack.memory.recovery
        peer.setOptions { $0.congestionControl = to }
        let info = try #require(peer.info)
        #expect(info.congestionControl == to)
        #expect(info.congestionWindow == before.congestionWindow)
        let difference = (to == .bbr ? 512 : 0) - (from == .bbr ? 512 : 0)
        #expect(peer.host.stack.memory.recovery - held == difference)
        #expect(peer.host.stack.audit() == nil)
        // It still sends, and still hears.
        let sent = peer.host.stack.info(of: try #require(peer.connection))?.octetsSent ?? 0
        peer.host.advance(by: .milliseconds(100))
        peer.send(.ack, ack: 1 + Int(sent))
        peer.host.advance(by: .milliseconds(100))
        #expect((peer.info?.octetsSent ?? 0) > sent)
    }

    @Test("A connection's own control is used from the start, and the listener's is that of what it accepts")
    func chosen() throws {
        let peer = ScriptedPeer(offer: .full)
        var options = ConnectionOptions()
        options.congestionControl = .cubic
        peer.establish(options: options)
        #expect(peer.info?.congestionControl == .cubic)
    }

    @Test("A stale handle has no info")
    func stale() {
        let peer = open()
        peer.abort()
        #expect(peer.info == nil)
    }
}
