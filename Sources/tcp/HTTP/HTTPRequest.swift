/// The head of an HTTP request (RFC 9112).
struct HTTPRequest: Sendable {
    /// As sent: methods are case-sensitive.
    var method: String
    /// The request target, as sent.
    var target: String
    /// The minor version of HTTP/1: 0 or 1.
    var minorVersion: Int
    /// Field values by lowercased name; several lines of one name are joined by commas.
    var fields: [String: String]

    /// Why a head cannot be served, as the status code to answer with.
    enum Refusal: Error {
        case badRequest
        case versionNotSupported

        var status: Int { self == .badRequest ? 400 : 505 }
    }

    /// The octets that end a head.
    private static let lineFeed = UInt8(ascii: "\n")

    /// The length of the head at the start of `bytes`, its empty line included; `nil` when there is more to come.
    static func headLength(of bytes: ArraySlice<UInt8>) -> Int? {
        var lineStart = bytes.startIndex
        for index in bytes.indices where bytes[index] == lineFeed {
            let line = bytes[lineStart..<index]
            if line.isEmpty || line.elementsEqual([13]) {
                // Empty lines before the request line are passed over (RFC 9112 §2.2).
                if bytes[bytes.startIndex..<lineStart].contains(where: { $0 != 13 && $0 != 10 }) {
                    return index + 1 - bytes.startIndex
                }
            }
            lineStart = index + 1
        }
        return nil
    }

    /// Reads a head.
    init(parsing head: ArraySlice<UInt8>) throws(Refusal) {
        var lines = head.split(separator: HTTPRequest.lineFeed, omittingEmptySubsequences: false).map { line in
            line.last == 13 ? line.dropLast() : line
        }
        while lines.first?.isEmpty == true { lines.removeFirst() }
        guard let requestLine = lines.first else { throw .badRequest }
        let words = requestLine.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard words.count == 3, !words[0].isEmpty, !words[1].isEmpty,
            words[0].allSatisfy(HTTPRequest.isTokenOctet), words[1].allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { throw .badRequest }
        method = String(decoding: words[0], as: UTF8.self)
        target = String(decoding: words[1], as: UTF8.self)
        switch String(decoding: words[2], as: UTF8.self) {
        case "HTTP/1.1": minorVersion = 1
        case "HTTP/1.0": minorVersion = 0
        case let other where other.hasPrefix("HTTP/"): throw .versionNotSupported
        default: throw .badRequest
        }
        fields = [:]
        var hosts = 0
        for line in lines.dropFirst() where !line.isEmpty {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { throw .badRequest }
            let name = line[line.startIndex..<colon]
            // No space before the colon, no folded lines (RFC 9112 §5).
            guard !name.isEmpty, name.allSatisfy(HTTPRequest.isTokenOctet) else { throw .badRequest }
            let value = HTTPRequest.trimmed(line[(colon + 1)...])
            guard !value.contains(where: { $0 == 0 || $0 == 13 }) else { throw .badRequest }
            let key = String(decoding: name, as: UTF8.self).lowercased()
            let text = String(decoding: value, as: UTF8.self)
            if key == "host" { hosts += 1 }
            fields[key] = fields[key].map { "\($0), \(text)" } ?? text
        }
        // RFC 9112 §3.2: exactly one Host in HTTP/1.1.
        guard hosts == 1 || (hosts == 0 && minorVersion == 0) else { throw .badRequest }
    }

    /// Whether the connection is to stay open after the answer (RFC 9112 §9.3).
    var keepsAlive: Bool {
        let options = (fields["connection"] ?? "").lowercased().split(separator: ",").map { word in
            word.drop { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" }
        }
        if options.contains("close") { return false }
        return minorVersion == 1 || options.contains("keep-alive")
    }

    /// Whether octets of a body follow the head.
    var hasBody: Bool {
        if fields["transfer-encoding"] != nil { return true }
        guard let length = fields["content-length"] else { return false }
        return length != "0"
    }

    private static func isTokenOctet(_ octet: UInt8) -> Bool {
        switch octet {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(octet)
        }
    }

    private static func trimmed(_ value: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var value = value
        while let first = value.first, first == 0x20 || first == 9 { value.removeFirst() }
        while let last = value.last, last == 0x20 || last == 9 { value.removeLast() }
        return value
    }
}
