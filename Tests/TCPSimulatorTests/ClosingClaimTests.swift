import TCPEngine
import TCPSimulator
import TCPStack
import TCPTrace
import TCPWire
import Testing

@Suite("Claims 21–47: how TCP closes")
struct ClosingClaimTests {
    let trace = play("close").trace
    var fin: TracedSegment { trace.segments(from: "client", [.fin, .ack])[0] }
    var second: TracedSegment {
        trace.segments(from: "server", .ack).first { $0.header.acknowledgment == fin.sequenceEnd } ?? trace.segments[0]
    }
    var third: TracedSegment { trace.segments(from: "server", [.fin, .ack])[0] }
    var fourth: TracedSegment {
        trace.segments(from: "client", .ack).first { $0.header.acknowledgment == third.sequenceEnd }
            ?? trace.segments[0]
    }

    @Test("Claim 21: the closer's segment carries FIN and ACK: \"I have no more to send\", not a request")
    func finAndAck() {
        #expect(fin.header.flags.contains([.fin, .ack]))
        let text = Ladder(trace).lines().joined(separator: " ")
        #expect(text.contains("announcement, not a") && !text.contains("asks to release"))
    }

    @Test("Claim 21: FIN may ride on the last data")
    func finOnData() throws {
        let pair = Pair()
        let receiver = StreamApplication(expecting: PayloadPattern(seed: 1), closing: .afterEndOfStream(.zero))
        try pair.connect(StreamApplication(sending: 100), receiver)
        pair.simulation.runUntilIdle()
        let fin = try #require(pair.trace.segments(from: "client", containing: .fin).first)
        #expect(fin.length == 100 && receiver.received == 100 && receiver.isIntact)
    }

    @Test("Claim 22: the FIN's number is the next unsent one, after any data")
    func finNumber() throws {
        let data = try #require(trace.data(from: "client").last)
        #expect(fin.header.sequence == data.sequenceEnd)
    }

    @Test("Claim 23: the closer enters FIN-WAIT-1; the half-close is agreed when the FIN is acknowledged")
    func finWait1() {
        #expect(trace.time("client", reaches: .finWait1) == fin.sent)
        #expect(trace.time("server", reaches: .closeWait) == fin.arrival)
        #expect(trace.time("client", reaches: .finWait2) == second.arrival)
    }

    @Test("Claim 24: after its FIN the closer sends no data and still receives")
    func stillReceives() throws {
        let outcome = play("half-close")
        let fin = try #require(outcome.trace.first(from: "client", [.fin, .ack]))
        #expect(outcome.holds && outcome.isIntact)
        #expect(!outcome.trace.data(from: "client").contains { $0.sent > fin.sent })
        #expect(outcome.trace.data(from: "server").reduce(0) { $0 + $1.length } == 2500)
    }

    @Test("Claim 25: after its FIN the closer still acknowledges")
    func stillAcknowledges() throws {
        let trace = play("half-close").trace
        let last = try #require(trace.data(from: "server").last)
        #expect(trace.segments(from: "client", .ack).contains { $0.header.acknowledgment == last.sequenceEnd })
        #expect(trace.passes("client", through: .finWait1, .finWait2, .timeWait))
    }

    @Test("Claim 25: after its FIN the closer repeats what was lost, data and FIN")
    func stillRepeats() throws {
        let pair = Pair()
        let receiver = StreamApplication(expecting: PayloadPattern(seed: 1), closing: .afterEndOfStream(.zero))
        try pair.connect(StreamApplication(sending: 3000), receiver)
        pair.link.forward.faults.losesPackets = [2, 3, 4]
        pair.simulation.runUntilIdle()
        #expect(receiver.received == 3000 && receiver.isIntact && receiver.hasReadEnd)
        #expect(pair.trace.segments(from: "client", containing: .fin).count >= 2)
    }

    @Test("Claim 26: either end may close first: active and passive closer, not client and server")
    func serverFirst() {
        let outcome = play("close-server-first")
        #expect(outcome.holds)
        #expect(outcome.trace.passes("server", through: .finWait1, .finWait2, .timeWait, .closed))
        #expect(outcome.trace.passes("client", through: .closeWait, .lastAck, .closed))
    }

    @Test(
        "Claim 27: on the FIN's arrival the other end leaves ESTABLISHED for CLOSE-WAIT, and its program reads the end")
    func closeWait() throws {
        #expect(trace.passes("server", through: .established, .closeWait))
        #expect(trace.time("server", reaches: .closeWait) == fin.arrival)
        let end = try #require(trace.actions.first { $0.end == "server" && $0.action == .endOfStream })
        #expect(end.time == fin.arrival)
    }

    @Test("Claim 28: it answers with an ACK, alone or merged with data or its FIN, within half a second")
    func answer() throws {
        #expect(second.header.flags == .ack && second.length == 0)
        #expect(second.sent - (fin.arrival ?? .zero) < .milliseconds(500))
        for (name, flags) in [("half-close", TCPFlags.ack), ("close-three", [.fin, .ack])] {
            let trace = play(name).trace
            let end = try #require(trace.first(from: "client", [.fin, .ack])?.sequenceEnd)
            let merged = try #require(
                trace.segments.first { $0.from == "server" && $0.header.acknowledgment == end })
            #expect(merged.header.flags.isSuperset(of: flags))
            #expect(name == "close-three" || merged.length > 0)
        }
    }

    @Test("Claim 29: that ACK's number is the server's SND.NXT")
    func answersNumber() throws {
        let synAck = try #require(trace.first(from: "server", [.syn, .ack]))
        #expect(second.header.sequence == synAck.sequenceEnd)
    }

    @Test("Claim 30: it acknowledges U + 1")
    func answersAcknowledgment() {
        #expect(second.header.acknowledgment == fin.header.sequence + 1)
    }

    @Test("Claim 31: nothing more happens until the program closes: CLOSE-WAIT can last for ever")
    func leak() {
        #expect(play("close-wait-leak").holds && play("fin-wait-2-orphan").holds)
    }

    @Test("Claim 32: FIN-WAIT-2 comes only with an ACK that covers the FIN")
    func finWait2() throws {
        #expect(trace.time("client", reaches: .finWait2) == second.arrival)
        let pair = Pair()
        let sender = StreamApplication(sending: 2000, closing: .afterWriting)
        let receiver = StreamApplication(expecting: PayloadPattern(seed: 1), closing: .whenAsked)
        // The segment with the FIN is lost: ACKs of the data before it do not move the closer on.
        pair.link.forward.script = { packet in
            (packet.header?.flags.contains(.fin) ?? false) && packet.time.nanoseconds < 200_000_000 ? .lost : nil
        }
        try pair.connect(sender, receiver)
        pair.simulation.run(for: .seconds(5))
        let trace = pair.trace
        let acked = try #require(trace.segments(from: "server", .ack).first?.arrival)
        let fin = try #require(trace.segments(from: "client", containing: .fin).last)
        #expect(try #require(trace.time("client", reaches: .finWait2)) > acked)
        #expect(try #require(trace.time("client", reaches: .finWait2)) > fin.arrival ?? .distantFuture)
    }

    @Test("Claim 33: after two segments one direction is closed, and both ends know it")
    func oneDirection() throws {
        let client = try #require(trace.time("client", reaches: .finWait2))
        let server = try #require(trace.time("server", reaches: .closeWait))
        #expect(max(client, server) < third.sent)
    }

    @Test("Claim 34: the state is called CLOSE-WAIT")
    func spelling() {
        #expect(State.closeWait.name == "CLOSE-WAIT")
        for language in Language.allCases {
            var style = Ladder.Style()
            style.language = language
            let text = Ladder(trace, style: style).lines().joined()
            #expect(text.contains("CLOSE-WAIT") && !text.contains("CLOSED-WAIT"))
        }
    }

    @Test("Claim 35: the passive closer's segment carries FIN and ACK")
    func serversFIN() {
        #expect(third.header.flags.contains([.fin, .ack]))
    }

    @Test("Claim 36: its ACK is a real one: when the second segment was lost, it alone moves the closer on")
    func repeatedAcknowledgment() {
        let outcome = play("close-lost-ack")
        #expect(outcome.holds)
        #expect(outcome.trace.passes("client", through: .finWait1, .timeWait))
    }

    @Test("Claim 37: its number is V if nothing was sent in between, else V plus the octets sent")
    func serversFINNumber() throws {
        #expect(third.header.sequence == second.header.sequence)
        let half = play("half-close").trace
        let begin = try #require(half.first(from: "server", [.syn, .ack]))
        let fin = try #require(half.segments(from: "server", containing: .fin).first)
        #expect(fin.header.sequence + fin.length == begin.sequenceEnd + 2500)
    }

    @Test("Claim 38: it acknowledges U + 1 again, as the closer can send nothing new")
    func serversFINAcknowledgment() {
        #expect(third.header.acknowledgment == second.header.acknowledgment)
    }

    @Test("Claim 39: at sending FIN the passive closer leaves CLOSE-WAIT for LAST-ACK")
    func lastAck() {
        #expect(trace.time("server", reaches: .lastAck) == third.sent)
        #expect(trace.passes("server", through: .closeWait, .lastAck))
    }

    @Test("Claim 40: data after the closer's FIN is ignored: in CLOSE-WAIT and LAST-ACK only acknowledgments matter")
    func dataAfterFIN() throws {
        for state in [State.closeWait, .lastAck] {
            let pair = Pair()
            let sender = StreamApplication(sending: 300, closing: .afterWriting)
            let receiver = StreamApplication(expecting: PayloadPattern(seed: 1), closing: .whenAsked)
            receiver.releasesWhenDone = false
            try pair.connect(sender, receiver)
            pair.simulation.run(for: .milliseconds(300))
            if state == .lastAck {
                pair.link.backward.isCut = true
                receiver.close()
            }
            #expect(receiver.connection?.status?.state == state)
            let fin = try #require(pair.trace.segments(from: "client", containing: .fin).first)
            pair.simulation.inject(
                RawSegment.packet(
                    from: fin.source, to: fin.destination, sequence: fin.sequenceEnd,
                    acknowledgment: fin.header.acknowledgment, flags: [.ack, .psh], payload: [1, 2, 3]),
                to: pair.server, from: "client")
            pair.simulation.run(for: .milliseconds(50))
            #expect(receiver.received == 300 && receiver.connection?.status?.unread == 0)
            #expect(receiver.connection?.status?.state == state)
        }
    }

    @Test("Claim 41: on the FIN the closer goes from FIN-WAIT-2 to TIME-WAIT, and acknowledges")
    func timeWait() {
        #expect(trace.passes("client", through: .finWait2, .timeWait))
        #expect(trace.time("client", reaches: .timeWait) == third.arrival && fourth.sent == third.arrival)
    }

    @Test("Claim 42: that ACK's number is U + 1")
    func lastNumber() { #expect(fourth.header.sequence == fin.header.sequence + 1) }

    @Test("Claim 43: it acknowledges W + 1")
    func lastAcknowledgment() { #expect(fourth.header.acknowledgment == third.header.sequence + 1) }

    @Test("Claim 44: TIME-WAIT lasts 2 MSL, starts anew with a repeated FIN, and keeps old segments away")
    func twoMSL() {
        for name in [
            "lost-last-ack", "time-wait", "time-wait-old-data", "time-wait-reuse", "time-wait-old-syn",
            "time-wait-none",
        ] { #expect(play(name).holds, "\(name)") }
    }

    @Test("Claim 45: the passive closer is CLOSED on the last ACK")
    func closed() {
        let closed = trace.stateChanges.first { $0.end == "server" && $0.from == .lastAck && $0.to == .closed }
        #expect(closed?.time == fourth.arrival && closed != nil)
    }

    @Test("Claim 46: three, because SYN and ACK share a segment; when both open at once, four")
    func howManyToOpen() {
        let opening = play("connect").trace.segments
        #expect(opening.count == 3 && opening[1].header.flags == [.syn, .ack])
        let both = play("simultaneous-open")
        #expect(both.holds && both.isIntact)
        #expect(both.trace.segments.filter { $0.header.flags.contains(.syn) }.count == 4)
    }

    @Test("Claim 47: four, because FIN waits for the program; three if it closes at once, four crossing, one with RST")
    func howManyToClose() {
        #expect(play("close").holds && play("close-three").holds)
        #expect(play("simultaneous-close").holds && play("reset-unread").holds)
        let close = trace.actions.first { $0.end == "server" && $0.action == .close }
        #expect(close?.time == third.sent && third.sent > second.sent)
    }
}
