import CLinux
import Glibc

/// The page that stands for a directory without an index.
enum Listing {
    /// A page of links to what is in the directory. Takes over the descriptor.
    static func page(of directory: CInt, components: [String]) -> [UInt8]? {
        guard let stream = fdopendir(directory) else {
            close(directory)
            return nil
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasPrefix(".") { continue }
            // A directory's link ends in a slash, so that links inside it lead below it.
            var status = stat()
            guard fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
            switch status.st_mode & S_IFMT {
            case S_IFDIR: names.append(name + "/")
            case S_IFREG: names.append(name)
            default: continue
            }
        }
        let title = escaped("/" + components.map { $0 + "/" }.joined())
        var page = "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>\(title)</title></head>\n"
        page += "<body><h1>\(title)</h1>\n<ul>\n"
        if !components.isEmpty { page += "<li><a href=\"../\">../</a></li>\n" }
        for name in names.sorted() {
            page += "<li><a href=\"./\(percentEncoded(name))\">\(escaped(name))</a></li>\n"
        }
        page += "</ul></body></html>\n"
        return Array(page.utf8)
    }

    /// `text` for HTML.
    static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
        return result
    }

    /// `text` for a URI's path (RFC 3986 §2.3: what is unreserved stays, and the slash).
    static func percentEncoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF")
        var result = ""
        for octet in text.utf8 {
            switch octet {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"), UInt8(ascii: "/"):
                result.unicodeScalars.append(Unicode.Scalar(octet))
            default:
                result += "%"
                result.append(digits[Int(octet >> 4)])
                result.append(digits[Int(octet & 15)])
            }
        }
        return result
    }
}

/// What a file's name says of its contents.
enum ContentType {
    /// By the extension of `name`.
    static func of(_ name: String) -> String {
        guard let dot = name.lastIndex(of: ".") else { return "application/octet-stream" }
        switch name[name.index(after: dot)...].lowercased() {
        case "html", "htm": return "text/html; charset=utf-8"
        case "txt", "md", "log", "swift", "c", "h", "csv": return "text/plain; charset=utf-8"
        case "css": return "text/css; charset=utf-8"
        case "js", "mjs": return "text/javascript; charset=utf-8"
        case "json": return "application/json"
        case "xml": return "application/xml"
        case "svg": return "image/svg+xml"
        case "png": return "image/png"
        case "jpg", "jpeg": return "image/jpeg"
        case "gif": return "image/gif"
        case "webp": return "image/webp"
        case "ico": return "image/x-icon"
        case "pdf": return "application/pdf"
        case "wasm": return "application/wasm"
        case "mp4": return "video/mp4"
        case "mp3": return "audio/mpeg"
        case "woff2": return "font/woff2"
        case "zip": return "application/zip"
        case "gz", "tgz": return "application/gzip"
        default: return "application/octet-stream"
        }
    }
}

/// Dates as HTTP writes them (RFC 9110 §5.6.7).
enum HTTPDate {
    /// `Sun, 06 Nov 1994 08:49:37 GMT`.
    static func text(_ seconds: Int) -> String {
        var time = time_t(seconds)
        var parts = tm()
        gmtime_r(&time, &parts)
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return
            "\(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) \(1900 + parts.tm_year) "
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT"
    }
}
