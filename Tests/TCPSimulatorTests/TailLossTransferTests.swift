import TCPEngine
import TCPSimulator
import TCPStack
import TCPTrace
import TCPWire
import Testing

/// RFC 8985 §7, from end to end: the client is sent nothing, so that what the sender knows is the receiver's acknowledgments.
@Suite("The last segment of what was written is lost, and the connection stays open")
struct TailLossTransferTests {
    /// When all octets were there, and what was sent for it. `lost` counts the sender's packets from its SYN.
    private func arrival(
        of bytes: Int, holdingBack delay: Duration, lost: Set<Int> = []
    ) throws -> (at: Instant, trace: Trace, info: ConnectionInfo) {
        var link = LinkConfiguration(rate: 50_000_000)
        link.delay = .milliseconds(50)
        var configuration = Configuration()
        configuration.delayedAcknowledgment = delay
        let pair = Pair(link: link, configuration: configuration)
        let receiver = StreamApplication(expecting: PayloadPattern(seed: 1), closing: .whenAsked)
        let connection = try pair.connect(StreamApplication(sending: bytes, closing: .whenAsked), receiver)
        pair.link.forward.faults.losesPackets = lost
        pair.simulation.runUntilIdle(limit: .seconds(5))
        #expect(receiver.received == bytes && receiver.isIntact)
        let arrivals = pair.trace.data(from: "client").compactMap(\.arrival)
        return (try #require(arrivals.max()), pair.trace, try #require(connection.info))
    }

    /// How much later all was there because the last segment of so many was lost.
    private func delay(segments: Int, holdingBack: Duration) throws -> Duration {
        let bytes = segments * 1448
        let whole = try arrival(of: bytes, holdingBack: holdingBack)
        let last = try #require(whole.trace.segments.filter { $0.from == "client" }.lastIndex { $0.length > 0 })
        let late = try arrival(of: bytes, holdingBack: holdingBack, lost: [last + 1])
        // It alone went again, by a probe.
        #expect(late.trace.data(from: "client").count == whole.trace.data(from: "client").count + 1, "\(segments)")
        #expect(late.info.tailLossProbes == 1 && late.info.timeouts == 0, "\(segments)")
        return late.at - whole.at
    }

    @Test(
        "RFC 8985 §7.2: at 100 ms it is there within two round trips and a reordering window, and no timeout passes [8985-13]"
    )
    func quickly() throws {
        for segments in 2...40 {
            let delay = try delay(segments: segments, holdingBack: .zero)
            #expect(delay <= .milliseconds(2 * 100 + 25), "\(segments): \(delay)")
        }
    }

    @Test(
        "RFC 8985 §7.2: of a receiver that waits 40 ms for company too, once it was seen; before that the probe waits longer [8985-14]"
    )
    func heldBack() throws {
        for segments in 2...40 {
            let delay = try delay(segments: segments, holdingBack: .milliseconds(40))
            // An odd number of segments before the lost one: the acknowledgment of the last of them was held back. With an
            // even number none was, before the window holds more than a second such pair.
            let isSeen = segments % 2 == 0 || segments > 30
            #expect(delay <= .milliseconds(isSeen ? 225 : 360), "\(segments): \(delay)")
        }
    }
}
