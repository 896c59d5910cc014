public import TCPEngine
public import TCPStack
internal import TCPTrace
internal import TCPWire

/// Sends a pattern, checks what comes against another, and closes by a rule.
public final class StreamApplication: SimulatedApplication {
    /// When the program closes its direction.
    public enum Closing: Sendable {
        /// When all is written.
        case afterWriting
        /// That long after the peer has acknowledged all, to be looked for every millisecond.
        case afterDelivery(Duration)
        /// That long after it has read the peer's end-of-stream; all is written by then.
        case afterEndOfStream(Duration)
        /// That long after it has read this many octets.
        case afterReading(Int, Duration)
        /// When `close()` is called.
        case whenAsked
    }

    /// When the program begins to write.
    public enum Writing: Sendable {
        /// At once, before the connection is open: the octets wait in the stack.
        case atOnce
        /// That long after the connection became ESTABLISHED.
        case afterOpening(Duration)
        /// When it has read the peer's end-of-stream.
        case afterEndOfStream
        /// When `startWriting()` is called.
        case whenAsked
    }

    /// Octets to send.
    public private(set) var toSend: Int
    /// What they are.
    public let sends: PayloadPattern
    /// What ought to come.
    public let expects: PayloadPattern
    /// When to close.
    public let closing: Closing
    /// Whether it reads. While it does not, what comes waits in the stack, and the window closes.
    public var isReading = true
    /// Whether it lets go of a connection when it has closed and read the end of the other direction, or when it is over.
    public var releasesWhenDone = true
    /// Called once: when the peer's direction has come to its end, or the connection has failed.
    public var whenOver: (() -> Void)?

    /// Octets the stack has taken.
    public private(set) var written = 0
    /// Octets read.
    public private(set) var received = 0
    /// Whether each of them was right.
    public private(set) var isIntact = true
    /// Whether the peer's direction came to its end.
    public private(set) var hasReadEnd = false
    /// Whether the connection became ESTABLISHED.
    public private(set) var isOpened = false
    /// Whether this program has closed.
    public private(set) var hasClosed = false
    /// How the connection ended, if badly.
    public private(set) var error: ConnectionError?
    /// The connection, once there is one.
    public private(set) var connection: SimulatedConnection?

    private let writing: Writing
    private var mayWrite = false
    private var isAwaitingDelivery = false
    private var chunk: [UInt8] = []
    private var chunkStart = 0
    private var chunkEnd = 0
    private var reported = 0
    private var readBuffer: [UInt8]

    /// Makes a program.
    ///
    /// - Parameters:
    ///   - bytes: Octets to send.
    ///   - pattern: What they are.
    ///   - expecting: What ought to come.
    ///   - writing: When it begins to write.
    ///   - closing: When it closes.
    ///   - chunkSize: Octets of one read and of one write, at most.
    public init(
        sending bytes: Int = 0, pattern: PayloadPattern = PayloadPattern(seed: 1),
        expecting: PayloadPattern = PayloadPattern(seed: 2), writing: Writing = .atOnce,
        closing: Closing = .afterWriting, chunkSize: Int = 65_536
    ) {
        toSend = bytes
        sends = pattern
        expects = expecting
        self.closing = closing
        self.writing = writing
        readBuffer = [UInt8](repeating: 0, count: chunkSize)
    }

    /// Takes the connection over.
    public func started(_ connection: SimulatedConnection) {
        self.connection = connection
        if case .atOnce = writing { mayWrite = true }
        if connection.status?.state == .synSent || connection.status?.state == .synReceived {
            write(connection)
        } else {
            opened(connection)
            read(connection)
            write(connection)
        }
    }

    /// Goes on with what has become possible.
    public func changed(_ readiness: Readiness, _ connection: SimulatedConnection) {
        if readiness.contains(.opened) { opened(connection) }
        if readiness.contains(.ended), let failure = connection.status?.error {
            fail(failure, connection)
            return
        }
        if isReading, !connection.isReleased, !readiness.isDisjoint(with: [.readable, .endOfStream, .opened]) {
            read(connection)
        }
        if !readiness.isDisjoint(with: [.writable, .opened]) { write(connection) }
        if readiness.contains(.ended), releasesWhenDone { connection.release() }
    }

    private func opened(_ connection: SimulatedConnection) {
        guard !isOpened else { return }
        isOpened = true
        guard case .afterOpening(let delay) = writing else { return }
        connection.host.simulation.after(delay) { [weak self] in self?.startWriting() }
    }

    /// Begins to write, if it was told to wait.
    public func startWriting() {
        mayWrite = true
        if let connection { write(connection) }
        connection?.host.pump()
    }

    /// Writes no more than the stack has taken, and closes if it was to close after writing.
    public func stopWriting() {
        toSend = written
        if let connection { write(connection) }
        connection?.host.pump()
    }

    /// Begins to read again.
    public func resumeReading() {
        isReading = true
        if let connection { read(connection) }
        connection?.host.pump()
    }

    /// Reads at most `count` octets, and stays as it is.
    public func read(atMost count: Int) {
        guard let connection else { return }
        read(connection, limit: count)
        connection.host.pump()
    }

    /// Closes this program's direction.
    public func close() {
        guard let connection, !hasClosed, !connection.isReleased else { return }
        hasClosed = true
        connection.close()
        finish(connection)
    }

    private func write(_ connection: SimulatedConnection) {
        guard mayWrite, !hasClosed, !connection.isReleased else { return }
        while written < toSend {
            if written == chunkEnd { nextChunk() }
            let rest = chunk.span.bytes.extracting(written - chunkStart..<chunkEnd - chunkStart)
            guard let count = try? connection.write(rest), count > 0 else { break }
            if written == 0 { connection.record(.write(toSend)) }
            written += count
        }
        // CLOSE in SYN-SENT would give the attempt up (RFC 9293 §3.10.4).
        guard written == toSend, isOpened else { return }
        switch closing {
        case .afterWriting: close()
        case .afterDelivery(let delay): awaitDelivery(connection, delay)
        default: break
        }
    }

    private func awaitDelivery(_ connection: SimulatedConnection, _ delay: Duration) {
        guard !isAwaitingDelivery else { return }
        isAwaitingDelivery = true
        connection.host.simulation.after(.milliseconds(1)) { [weak self] in
            guard let self, !connection.isReleased else { return }
            isAwaitingDelivery = false
            if let status = connection.status, status.unacknowledged == 0, isOpened {
                closeAfter(delay)
            } else {
                awaitDelivery(connection, delay)
            }
        }
    }

    private func nextChunk() {
        let size = min(readBuffer.count, toSend - written)
        if chunk.count != size { chunk = [UInt8](repeating: 0, count: size) }
        var span = chunk.mutableSpan
        var bytes = span.mutableBytes
        sends.fill(&bytes, from: written)
        chunkStart = written
        chunkEnd = written + size
    }

    private func read(_ connection: SimulatedConnection, limit: Int = .max) {
        var limit = limit
        while !connection.isReleased, !hasReadEnd, limit > 0 {
            let result: ReadResult
            var buffer: [UInt8] = []
            swap(&buffer, &readBuffer)
            do throws(ConnectionError) {
                var span = buffer.mutableSpan
                var bytes = span.mutableBytes
                var part = bytes._mutatingExtracting(0..<min(limit, bytes.byteCount))
                result = try connection.read(into: &part)
            } catch {
                swap(&buffer, &readBuffer)
                fail(error, connection)
                return
            }
            swap(&buffer, &readBuffer)
            switch result {
            case .bytes(let count):
                check(count)
                limit -= count
                if case .afterReading(let target, let delay) = closing, received >= target {
                    closeAfter(delay)
                }
            case .wouldBlock: return
            case .endOfStream: readEnd(connection)
            }
        }
    }

    private func check(_ count: Int) {
        if !expects.matches(readBuffer.span.bytes.extracting(0..<count), from: received) { isIntact = false }
        received += count
    }

    private func readEnd(_ connection: SimulatedConnection) {
        hasReadEnd = true
        reportReading(connection)
        connection.record(.endOfStream)
        if case .afterEndOfStream = writing { startWriting() }
        if case .afterEndOfStream(let delay) = closing { closeAfter(delay) }
        finish(connection)
        whenOver.take()?()
    }

    /// Adds the octets read since the last time to the trace.
    public func reportReading() {
        if let connection { reportReading(connection) }
    }

    private func reportReading(_ connection: SimulatedConnection) {
        if received > reported { connection.record(.read(received - reported)) }
        reported = received
    }

    private func closeAfter(_ delay: Duration) {
        guard let connection else { return }
        if delay == .zero {
            close()
        } else {
            connection.host.simulation.after(delay) { [weak self] in self?.close() }
        }
    }

    private func finish(_ connection: SimulatedConnection) {
        if hasClosed, hasReadEnd, releasesWhenDone { connection.release() }
    }

    private func fail(_ failure: ConnectionError, _ connection: SimulatedConnection) {
        guard error == nil else { return }
        error = failure
        reportReading(connection)
        connection.record(.failed(failure))
        connection.release()
        whenOver.take()?()
    }
}
