import TCPEngine
import TCPSimulator
import TCPStack
import TCPTrace
import TCPWire
import Testing

@Suite("Claims 1–20: how TCP connects")
struct OpeningClaimTests {
    let trace = play("connect").trace
    var syn: TracedSegment { trace.segments[0] }
    var synAck: TracedSegment { trace.segments[1] }
    var ack: TracedSegment { trace.segments[2] }

    @Test("Claim 1: the opener's first segment carries SYN, no ACK and no data")
    func first() {
        #expect(syn.from == "client" && syn.header.flags == .syn && syn.length == 0)
    }

    @Test(
        "Claim 2: its number is the ISS, from a clock and a keyed hash, never 1; both the raw and the relative are shown"
    )
    func initialNumber() {
        let others = (UInt64(2)...9).map { play("connect", seed: $0).trace.segments[0].header.sequence.rawValue }
        #expect(Set(others).count == 8, "another secret gives another ISS")
        #expect(others.allSatisfy { $0 > 1 } && syn.header.sequence.rawValue > 1)
        let text = Ladder(trace).lines().joined(separator: "\n")
        #expect(text.contains("Seq=\(syn.header.sequence.rawValue) (rel 0)"))
        #expect(text.contains("Seq=\(ack.header.sequence.rawValue) (rel 1)"))
    }

    @Test("Claim 2: the ISS of one four-tuple moves on by 250,000 a second")
    func clockOfInitialNumbers() throws {
        let syns = play("time-wait-reuse").trace.segments(from: "client", .syn)
        try #require(syns.count == 2)
        let seconds = Double((syns[1].sent - syns[0].sent).nanoseconds) / 1e9
        let steps = Double(syns[1].header.sequence - syns[0].header.sequence)
        #expect(abs(steps - 250_000 * seconds) < 10)
    }

    @Test("Claim 3: having sent SYN, the opener is in SYN-SENT before any reply")
    func synSent() throws {
        let time = try #require(trace.time("client", reaches: .synSent))
        #expect(time == syn.sent && time < synAck.sent)
    }

    @Test("Claim 4: the listener stays in LISTEN, and a child of it goes to SYN-RECEIVED")
    func listenerStays() {
        let listener = trace.stateChanges.filter { $0.end == "server" && $0.remote.port == 0 }
        #expect(listener.map(\.to) == [.listen])
        #expect(trace.states(of: "server").first == .synReceived)
        #expect(
            Ladder(trace).lines().joined(separator: " ").contains("The listener itself stays in LISTEN")
                || Ladder(trace).lines().contains { $0.contains("The listener itself stays in") })
    }

    @Test("Claim 5: the reply carries SYN and ACK; the program's accept returns only later")
    func reply() throws {
        #expect(synAck.from == "server" && synAck.header.flags == [.syn, .ack])
        let accept = try #require(trace.actions.first { $0.action == .accept })
        #expect(accept.end == "server" && accept.time > synAck.sent && accept.time == ack.arrival)
    }

    @Test("Claim 6: the reply's number is the server's own ISS, unrelated to the client's")
    func serversNumber() {
        let distances = (UInt64(1)...6).map { seed in
            let segments = play("connect", seed: seed).trace.segments
            return segments[1].header.sequence - segments[0].header.sequence
        }
        #expect(Set(distances).count == 6)
    }

    @Test("Claim 7: it acknowledges ISS + 1, and more only if it accepts data that came on the SYN")
    func acknowledgmentOfSYN() throws {
        #expect(synAck.header.acknowledgment == syn.header.sequence + 1)
        let withData = play("data-on-syn").trace
        let answer = try #require(withData.first(from: "server", [.syn, .ack]))
        let accepted = answer.header.acknowledgment.distance(from: withData.segments[0].header.sequence)
        #expect((1...101).contains(accepted))
    }

    @Test("Claim 8: the server's state is called SYN-RECEIVED")
    func synReceived() {
        #expect(trace.states(of: "server").first?.name == "SYN-RECEIVED")
        #expect(!Ladder(trace).lines().joined().contains("SYN-RCVD"))
    }

    @Test("Claim 9: the client leaves SYN-SENT when the SYN,ACK arrives, and only if that acknowledges its SYN")
    func leavingSynSent() throws {
        #expect(trace.time("client", reaches: .established) == synAck.arrival)
        let stale = play("stale-syn-first").trace
        let wrong = try #require(stale.segments(from: "server", [.syn, .ack]).first)
        #expect(wrong.header.acknowledgment != stale.segments[0].header.sequence + 1)
        #expect(try #require(stale.time("client", reaches: .established)) > wrong.arrival ?? .distantFuture)
    }

    @Test("Claim 10: the third segment carries ACK and no SYN")
    func third() {
        #expect(ack.from == "client" && ack.header.flags == .ack && ack.number == 3)
    }

    @Test("Claim 10: the third segment may carry data")
    func thirdWithData() throws {
        let pair = Pair()
        let sender = StreamApplication(sending: 10, writing: .atOnce, closing: .whenAsked)
        try pair.connect(sender, StreamApplication(expecting: PayloadPattern(seed: 1), closing: .whenAsked))
        pair.simulation.run(for: .seconds(1))
        let third = pair.trace.segments[2]
        #expect(third.from == "client" && third.length == 10 && third.header.flags.contains(.ack))
        #expect(pair.trace.time("server", reaches: .established) == third.arrival)
    }

    @Test("Claim 11: its number is x + 1, and it uses none: the first data has the same")
    func thirdsNumber() throws {
        #expect(ack.header.sequence == syn.header.sequence + 1)
        #expect(ack.header.sequence == synAck.header.acknowledgment)
        let close = play("close").trace
        let third = close.segments[2]
        let data = try #require(close.data(from: "client").first)
        #expect(third.length == 0 && data.header.sequence == third.header.sequence)
    }

    @Test("Claim 12: it acknowledges y + 1")
    func thirdsAcknowledgment() {
        #expect(ack.header.acknowledgment == synAck.header.sequence + 1)
    }

    @Test("Claim 13: the client is ESTABLISHED when it sends the third segment, the server when that, or data, arrives")
    func established() throws {
        #expect(trace.time("client", reaches: .established) == ack.sent)
        #expect(trace.time("server", reaches: .established) == ack.arrival)
        let lost = play("lost-third-ack")
        #expect(lost.holds)
        let data = try #require(lost.trace.data(from: "client").first)
        #expect(lost.trace.segments[2].fate == .lost)
        #expect(lost.trace.time("server", reaches: .established) == data.arrival)
    }

    @Test("Claim 14: without a valid third segment nothing is ESTABLISHED and accept gives nothing")
    func noThird() {
        for name in ["stale-syn", "stale-syn-listeners"] {
            let outcome = play(name)
            #expect(outcome.holds)
            #expect(!outcome.trace.states(of: "server").contains(.established))
            #expect(!outcome.trace.actions.contains { $0.action == .accept })
        }
    }

    @Test("Claim 15: an old SYN is answered, the client's RST undoes it, and a live attempt succeeds all the same")
    func oldSYN() {
        for name in ["stale-syn", "stale-syn-first", "stale-syn-listeners"] {
            let outcome = play(name)
            #expect(outcome.holds, "\(name)")
            let reset = outcome.trace.segments(from: "client", containing: .rst)
            #expect(reset.count == 1 && reset[0].header.sequence.rawValue == 90_000_001, "\(name)")
        }
        #expect(play("stale-syn-first").trace.states(of: "client").last == .established)
    }

    @Test(
        "Claim 16: the network loses, delays, repeats and reorders, each packet by itself, and the same seed does the same"
    )
    func network() throws {
        func run(_ seed: UInt64) throws -> [String] {
            let pair = Pair(seed: seed)
            pair.link.forward.faults = LinkFaults(loss: 0.1, duplication: 0.1, reordering: 0.2, corruption: 0.05)
            let receiver = StreamApplication(expecting: PayloadPattern(seed: 1), closing: .afterEndOfStream(.zero))
            try pair.connect(StreamApplication(sending: 60_000), receiver)
            pair.simulation.runUntilIdle()
            #expect(receiver.isIntact && receiver.received == 60_000)
            return JSONLines.lines(of: pair.trace)
        }
        let first = try run(5)
        #expect(try run(5) == first)
        #expect(try run(6) != first)
        #expect(first.contains { $0.contains("\"delivered\":false") })
    }

    @Test("Claim 17: a two-way handshake would leave the server alone in ESTABLISHED when its SYN,ACK is lost")
    func twoWay() {
        let outcome = play("two-way")
        let toy = outcome.parts[0].trace
        let server = toy.stateChanges.filter { $0.end == "toy-server" && $0.to == .established }
        let client = toy.stateChanges.filter { $0.end == "toy-client" && $0.to == .established }
        #expect(server.count == 2 && client.count == 1)
    }

    @Test("Claim 18: a lost SYN is repeated unchanged after 1, 2, 4 s, and one connection results")
    func repeatedSYN() throws {
        let pair = Pair()
        pair.link.forward.faults.losesPackets = [1, 2, 3]
        try pair.connect(StreamApplication(closing: .whenAsked), StreamApplication(closing: .whenAsked))
        pair.simulation.run(for: .seconds(20))
        let syns = pair.trace.segments(from: "client", .syn)
        #expect(syns.map { ($0.sent - syns[0].sent).nanoseconds / 100_000_000 } == [0, 10, 30, 70])
        #expect(Set(syns.map(\.header.sequence)).count == 1 && Set(syns.map(\.source)).count == 1)
        #expect(pair.trace.stateChanges.filter { $0.to == .established }.count == 2)
    }

    @Test("Claim 18: a new attempt, with a new number and port, is made only when the application retries")
    func retry() {
        #expect(play("lost-syn").holds && play("lost-syn-ack").holds && play("give-up-and-retry").holds)
    }

    @Test("Claim 19: without a third segment the server would hold what nobody uses; TCP gives the half-open entry up")
    func orphans() throws {
        let outcome = play("two-way")
        #expect(outcome.holds)
        let pair = Pair()
        pair.link.backward.isCut = true
        try pair.connect(StreamApplication(closing: .whenAsked), StreamApplication(closing: .whenAsked))
        pair.simulation.run(for: .milliseconds(500))
        pair.link.forward.isCut = true
        #expect(pair.server.stack.memory.halfOpenCount == 1)
        pair.simulation.runUntilIdle()
        #expect(pair.server.stack.memory.halfOpenCount == 0)
        #expect(!pair.trace.states(of: "server").contains(.established))
    }

    @Test("Claim 20: both initial numbers are confirmed: the client's by segment two, the server's by segment three")
    func bothConfirmed() {
        #expect(synAck.header.acknowledgment == syn.sequenceEnd)
        #expect(ack.header.acknowledgment == synAck.sequenceEnd)
    }
}
