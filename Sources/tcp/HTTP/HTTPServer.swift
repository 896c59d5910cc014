import CLinux
import Glibc
import TCPRuntime
import TCPStack
import TCPWire

/// A request that was answered, for those who count.
struct HTTPLogEntry: Sendable {
    var remote: String
    var method: String
    var target: String
    var status: Int
    var octets: Int

    /// The line for `--json`.
    var json: String {
        "{\"event\":\"request\",\"from\":\(tcp.json(remote)),\"method\":\(tcp.json(method)),"
            + "\"target\":\(tcp.json(target)),\"status\":\(status),\"octets\":\(octets)}"
    }
}

/// Serves the files of a directory: GET and HEAD, with ranges, on connections that stay open.
struct HTTPServer: Service {
    let name = "http"
    let port: UInt16 = 80
    let root: FileRoot
    let log: @Sendable (HTTPLogEntry) -> Void

    /// The longest head that is read.
    private static let headLimit = 32 << 10

    init(root: FileRoot, log: @escaping @Sendable (HTTPLogEntry) -> Void) {
        self.root = root
        self.log = log
    }

    func serve(_ connection: TCPConnection) async throws {
        var pending: [UInt8] = []
        while true {
            guard let length = HTTPRequest.headLength(of: pending[...]) else {
                guard pending.count <= HTTPServer.headLimit else {
                    try await answer(refusal(431), to: nil, on: connection)
                    break
                }
                guard let bytes = try await connection.read(upTo: 16 << 10) else { break }
                pending += bytes
                continue
            }
            let head = pending[..<length]
            var staysOpen = false
            do {
                let request = try HTTPRequest(parsing: head)
                // A body is not read: what follows it cannot be told from it.
                staysOpen = request.keepsAlive && !request.hasBody
                var response = respond(to: request)
                response.closes = !staysOpen
                try await answer(response, to: request, on: connection)
            } catch let refused as HTTPRequest.Refusal {
                try await answer(refusal(refused.status), to: nil, on: connection)
            }
            pending.removeFirst(length)
            if !staysOpen { break }
        }
        try await linger(connection)
    }

    /// Closes our side and takes what still comes, for a while: unread octets would reset the connection, and the answer
    /// with it (RFC 9112 §9.6).
    private func linger(_ connection: TCPConnection) async throws {
        try await connection.closeWrite()
        let loop = connection.host.loop
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await loop.sleep(for: .seconds(10)) }
            group.addTask {
                var budget = 1 << 20
                while budget > 0, let bytes = try? await connection.read(upTo: chunkSize) { budget -= bytes.count }
            }
            await group.next()
            group.cancelAll()
        }
    }

    // MARK: Answers

    private func respond(to request: HTTPRequest) -> HTTPResponse {
        guard request.method == "GET" || request.method == "HEAD" else {
            var response = refusal(405)
            response.fields.append(("Allow", "GET, HEAD"))
            return response
        }
        guard let components = FileRoot.components(of: request.target) else { return refusal(400) }
        switch root.open(components) {
        case .nothing: return refusal(404)
        case .forbidden: return refusal(403)
        case .file(let file): return serveFile(file, named: components.last ?? "", request)
        case .directory(let directory):
            let path = request.target.prefix { $0 != "?" && $0 != "#" }
            guard path.hasSuffix("/") else {
                close(directory)
                var response = refusal(301)
                response.fields.append(("Location", "/" + components.map { Listing.percentEncoded($0) + "/" }.joined()))
                return response
            }
            if case .file(let file) = root.open(components + ["index.html"]) {
                close(directory)
                return serveFile(file, named: "index.html", request)
            }
            guard let page = Listing.page(of: directory, components: components) else { return refusal(403) }
            return HTTPResponse(
                status: 200, fields: [("Content-Type", "text/html; charset=utf-8")], body: .bytes(page))
        }
    }

    private func serveFile(_ file: OpenFile, named name: String, _ request: HTTPRequest) -> HTTPResponse {
        let modified = HTTPDate.text(file.modified)
        var fields = [
            ("Content-Type", ContentType.of(name)), ("Last-Modified", modified), ("Accept-Ranges", "bytes"),
        ]
        var wanted = request.method == "GET" ? request.fields["range"] : nil
        // RFC 9110 §13.1.5: a range of a file that has changed is no use.
        if let condition = request.fields["if-range"], condition != modified { wanted = nil }
        switch HTTPRange(wanted, size: file.size) {
        case .whole:
            return HTTPResponse(status: 200, fields: fields, body: .file(file, 0..<file.size))
        case .part(let range):
            fields.append(("Content-Range", "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(file.size)"))
            return HTTPResponse(status: 206, fields: fields, body: .file(file, range))
        case .unsatisfiable:
            var response = refusal(416)
            response.fields.append(("Content-Range", "bytes */\(file.size)"))
            return response
        }
    }

    private func refusal(_ status: Int) -> HTTPResponse {
        let text = "\(status) \(HTTPResponse.reason(status))\n"
        return HTTPResponse(
            status: status, fields: [("Content-Type", "text/plain; charset=utf-8")], body: .bytes(Array(text.utf8)),
            closes: true)
    }

    private func answer(_ response: HTTPResponse, to request: HTTPRequest?, on connection: TCPConnection) async throws {
        let isHead = request?.method == "HEAD"
        log(
            HTTPLogEntry(
                remote: connection.remote.description, method: request?.method ?? "", target: request?.target ?? "",
                status: response.status, octets: isHead ? 0 : response.body.count))
        var head = response.head
        guard !isHead else { return try await connection.write(head) }
        switch response.body {
        case .bytes(let bytes):
            head += bytes
            try await connection.write(head)
        case .file(let file, let range):
            var offset = range.lowerBound
            while offset < range.upperBound || !head.isEmpty {
                let limit = min(chunkSize, range.upperBound - offset)
                let bytes = limit > 0 ? file.read(at: offset, limit: limit) : []
                // A file that has become shorter cannot keep the length that was promised.
                guard let bytes, limit == 0 || !bytes.isEmpty else { throw CommandFailure("The file changed.") }
                offset += bytes.count
                if head.isEmpty {
                    try await connection.write(bytes)
                } else {
                    try await connection.write(head + bytes)
                    head = []
                }
            }
        }
    }
}

/// An answer, before it is written.
struct HTTPResponse {
    enum Body {
        case bytes([UInt8])
        case file(OpenFile, Range<Int>)

        var count: Int {
            switch self {
            case .bytes(let bytes): bytes.count
            case .file(_, let range): range.count
            }
        }
    }

    var status: Int
    var fields: [(String, String)]
    var body: Body
    var closes = false

    /// The status line and the fields.
    var head: [UInt8] {
        var text = "HTTP/1.1 \(status) \(HTTPResponse.reason(status))\r\n"
        text += "Date: \(HTTPDate.text(Int(time(nil))))\r\nServer: swift-tcp\r\nContent-Length: \(body.count)\r\n"
        for (name, value) in fields { text += "\(name): \(value)\r\n" }
        text += closes ? "Connection: close\r\n\r\n" : "Connection: keep-alive\r\n\r\n"
        return Array(text.utf8)
    }

    static func reason(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 206: "Partial Content"
        case 301: "Moved Permanently"
        case 400: "Bad Request"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 416: "Range Not Satisfiable"
        case 431: "Request Header Fields Too Large"
        default: "HTTP Version Not Supported"
        }
    }
}
