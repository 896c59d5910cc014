internal import TCPEngine
public import TCPStack
internal import TCPWire

/// Sends back what it reads, and closes when the peer has.
public final class EchoApplication: SimulatedApplication {
    private var pending: [UInt8] = []
    private var buffer = [UInt8](repeating: 0, count: 16_384)
    private var hasReadEnd = false

    /// Makes a program.
    public init() {}

    /// Takes the connection over.
    public func started(_ connection: SimulatedConnection) { turn(connection) }

    /// Goes on with what has become possible.
    public func changed(_ readiness: Readiness, _ connection: SimulatedConnection) {
        if readiness.contains(.ended), connection.status?.error != nil {
            connection.release()
        } else {
            turn(connection)
        }
    }

    private func turn(_ connection: SimulatedConnection) {
        while !connection.isReleased {
            if !pending.isEmpty {
                guard let count = try? connection.write(pending.span.bytes), count > 0 else { return }
                pending.removeFirst(count)
                continue
            }
            if hasReadEnd {
                connection.close()
                connection.release()
                return
            }
            guard let result = readOnce(connection) else { return }
            switch result {
            case .bytes(let count): pending = Array(buffer[0..<count])
            case .wouldBlock: return
            case .endOfStream: hasReadEnd = true
            }
        }
    }

    private func readOnce(_ connection: SimulatedConnection) -> ReadResult? {
        var local: [UInt8] = []
        swap(&local, &buffer)
        defer { swap(&local, &buffer) }
        var span = local.mutableSpan
        var bytes = span.mutableBytes
        return try? connection.read(into: &bytes)
    }
}
