internal import TCPEngine
internal import TCPStack
internal import TCPWire

/// An honest client: it sends octets, has them sent back, and holds each one against what it sent.
struct LoadTransfer {
    let octets: Int
    let pattern: PayloadPattern
    let begun: Instant
    private var written = -LoadRequest.length
    private(set) var received = 0
    private var isWrong = false
    private var hasClosed = false
    private var sawEnd = false

    init(octets: Int, seed: UInt64, at now: Instant) {
        self.octets = octets
        pattern = PayloadPattern(seed: seed)
        begun = now
    }

    /// Whether all came back as it was.
    var isWhole: Bool { !isWrong && received == octets }
    /// Whether nothing more is to come.
    var isOver: Bool { sawEnd || isWrong }

    /// Goes on as far as it can.
    mutating func run(_ stack: inout Stack, _ id: ConnectionID, at now: Instant) {
        do throws(ConnectionError) {
            try write(&stack, id, at: now)
            try read(&stack, id, at: now)
            if received == octets, !hasClosed {
                hasClosed = true
                try stack.close(id, at: now)
            }
        } catch { isWrong = received < octets }
    }

    private mutating func write(_ stack: inout Stack, _ id: ConnectionID, at now: Instant) throws(ConnectionError) {
        while written < octets {
            var chunk: [UInt8]
            if written < 0 {
                chunk = Array(LoadRequest.echo.encoded(size: 0)[(written + LoadRequest.length)...])
            } else {
                chunk = [UInt8](repeating: 0, count: min(8192, octets - written))
                var span = chunk.mutableSpan
                var bytes = span.mutableBytes
                pattern.fill(&bytes, from: written)
            }
            let span = chunk.span
            let count = try stack.write(id, span.bytes, at: now)
            written += count
            if count < chunk.count { return }
        }
    }

    private mutating func read(_ stack: inout Stack, _ id: ConnectionID, at now: Instant) throws(ConnectionError) {
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while true {
            switch try LoadServer.read(id, into: &buffer, &stack, at: now) {
            case .wouldBlock: return
            case .endOfStream:
                sawEnd = true
                return
            case .bytes(let count):
                let span = buffer.span
                if received + count > octets || !pattern.matches(span.bytes.extracting(0..<count), from: received) {
                    isWrong = true
                }
                received += count
            }
        }
    }
}
