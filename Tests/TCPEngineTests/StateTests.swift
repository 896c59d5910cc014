import TCPEngine
import TCPWire
import Testing

/// RFC 9293 §3.3.2, figure 5, and its text: where each state can go.
private let diagram: [State: Set<State>] = [
    .closed: [.listen, .synSent],
    .listen: [.closed, .synSent, .synReceived],
    .synSent: [.closed, .synReceived, .established],
    .synReceived: [.closed, .listen, .established, .finWait1],
    .established: [.closed, .finWait1, .closeWait],
    .finWait1: [.closed, .finWait2, .closing, .timeWait],
    .finWait2: [.closed, .timeWait],
    .closeWait: [.closed, .lastAck],
    .closing: [.closed, .timeWait],
    .lastAck: [.closed],
    .timeWait: [.closed],
]

@Suite("The state moves as figure 5 has it")
struct StateTests {
    private func made(in state: State, _ context: borrowing Context) -> Connection {
        Connection(
            state: state, initial: SequenceNumber(1000), linkSegmentSize: 1460, isIPv4: true, hopLimit: 64,
            timestampOffset: 0, context)
    }

    @Test("A move the diagram has is made; any other ends the connection, and is counted", arguments: State.allCases)
    func moves(from state: State) {
        for next in State.allCases where next != state {
            var context = Context(parameters: Parameters(), budget: 1 << 20, now: .zero)
            var connection = made(in: state, context)
            connection.move(to: next, &context)
            let isMove = diagram[state]?.contains(next) ?? false
            #expect(connection.state == (isMove ? next : .closed), "\(state) to \(next)")
            #expect(context.impossibleMoves == (isMove ? 0 : 1), "\(state) to \(next)")
            #expect(isMove || connection.error == .reset, "\(state) to \(next)")
        }
    }

    @Test("The names of the states are the RFC's, each its own")
    func names() {
        #expect(
            State.allCases.map(\.name) == [
                "CLOSED", "LISTEN", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2",
                "CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT",
            ])
    }
}
