"""Tree-sitter queries that find the symbols of each language.

A capture is a symbol's kind, or one of: ``wrapper`` (a node around a symbol, such as decorators or ``export``), ``lead``
(comments and attributes, which belong to the symbol below them), ``name`` (what a symbol is called, where its node has no
field for it; several are joined by dots), ``owner`` (the type that a method belongs to), ``until`` (a node after the
symbol's own that is part of it) and names with an underscore, which only predicates use.
"""

PYTHON = """
(function_definition) @function
(class_definition) @class
(module (expression_statement (assignment left: (identifier)) @constant))
(decorated_definition) @wrapper
(comment) @lead
"""

JAVASCRIPT = """
(function_declaration) @function
(generator_function_declaration) @function
(class_declaration) @class
(method_definition) @method
(program (lexical_declaration) @constant)
(program (export_statement (lexical_declaration) @constant))
(export_statement) @wrapper
(comment) @lead
"""

FIELDS = "(field_definition value: (arrow_function)) @method"

TYPESCRIPT = (
    JAVASCRIPT
    + """
(abstract_class_declaration) @class
(interface_declaration) @interface
(type_alias_declaration) @type
(enum_declaration) @enum
(internal_module) @namespace
(function_signature) @function
(public_field_definition value: (arrow_function)) @method
(decorator) @lead
"""
)

GO = """
(function_declaration) @function
(method_declaration) @method
(source_file (type_declaration (type_spec type: (struct_type)) @struct))
(source_file (type_declaration (type_spec type: (interface_type)) @interface))
(source_file (type_declaration (type_spec) @type))
(source_file (type_declaration) @wrapper)
(source_file (const_declaration (const_spec) @constant))
(source_file (const_declaration) @wrapper)
(comment) @lead
"""

RUST = """
(function_item) @function
(function_signature_item) @function
(struct_item) @struct
(union_item) @struct
(enum_item) @enum
(trait_item) @interface
(impl_item) @impl
(mod_item) @namespace
(macro_definition) @macro
(source_file [(const_item) (static_item)] @constant)
(source_file (type_item) @type)
[(line_comment) (block_comment) (attribute_item)] @lead
"""

JAVA = """
(class_declaration) @class
(record_declaration) @class
(interface_declaration) @interface
(annotation_type_declaration) @interface
(enum_declaration) @enum
(method_declaration) @method
(constructor_declaration) @method
[(line_comment) (block_comment)] @lead
"""

C = """
(function_definition) @function
(struct_specifier body: (_)) @struct
(union_specifier body: (_)) @struct
(enum_specifier body: (_)) @enum
(type_definition) @type
(translation_unit [(preproc_def) (preproc_function_def)] @macro)
(comment) @lead
"""

CPP = (
    C
    + """
(class_specifier body: (_)) @class
(namespace_definition) @namespace
(template_declaration) @wrapper
"""
)

CSHARP = """
(class_declaration) @class
(record_declaration) @class
(struct_declaration) @struct
(interface_declaration) @interface
(enum_declaration) @enum
(delegate_declaration) @type
(namespace_declaration) @namespace
(method_declaration) @method
(constructor_declaration) @method
(local_function_statement) @function
(comment) @lead
"""

RUBY = """
(module) @namespace
(class) @class
(method) @function
(singleton_method) @function
(program (assignment left: (constant)) @constant)
(body_statement (assignment left: (constant)) @constant)
(comment) @lead
"""

PHP = """
(class_declaration) @class
(trait_declaration) @class
(interface_declaration) @interface
(enum_declaration) @enum
(function_definition) @function
(method_declaration) @method
(const_declaration (const_element . (name) @name)) @constant
(comment) @lead
"""

BASH = """
(function_definition) @function
((program (variable_assignment name: (variable_name) @name) @constant) (#match? @name "^[A-Z_][A-Z0-9_]*$"))
(comment) @lead
"""

KOTLIN = """
(class_declaration "interface") @interface
(class_declaration) @class
(object_declaration) @class
(companion_object "companion" @name) @class
(function_declaration) @function
(type_alias (identifier) @name) @type
(source_file (property_declaration (variable_declaration (identifier) @name)) @constant)
[(line_comment) (block_comment)] @lead
"""

SWIFT = """
(class_declaration declaration_kind: "class") @class
(class_declaration declaration_kind: "actor") @class
(class_declaration declaration_kind: "struct") @struct
(class_declaration declaration_kind: "enum") @enum
(class_declaration declaration_kind: "extension" name: (_) @name) @impl
(protocol_declaration) @interface
(function_declaration) @function
(protocol_function_declaration) @function
(init_declaration "init" @name) @method
(typealias_declaration) @type
[(comment) (multiline_comment)] @lead
"""

SCALA = """
(class_definition) @class
(object_definition) @class
(trait_definition) @interface
(enum_definition) @enum
(function_definition) @function
(function_declaration) @function
(type_definition) @type
[(comment) (block_comment)] @lead
"""

LUA = """
(function_declaration name: (identifier)) @function
(function_declaration name: (dot_index_expression table: (_) @owner field: (_) @name)) @function
(function_declaration name: (method_index_expression table: (_) @owner method: (_) @name)) @method
(assignment_statement
  (variable_list . name: (dot_index_expression table: (_) @owner field: (_) @name))
  (expression_list . value: (function_definition))) @function
(assignment_statement (variable_list . name: (identifier) @name)
  (expression_list . value: (function_definition))) @function
(variable_declaration (assignment_statement)) @wrapper
(comment) @lead
"""

SQL = """
(statement (create_table (object_reference) @name)) @table
(statement (create_view (object_reference) @name)) @view
(statement (create_materialized_view (object_reference) @name)) @view
(statement (create_index column: (identifier) @name)) @index
(statement (create_function (object_reference) @name)) @function
(statement (create_trigger (object_reference) @name)) @trigger
(statement (create_type (object_reference) @name)) @type
(statement (create_schema (identifier) @name)) @namespace
(statement (alter_table (object_reference) @name)) @table
[(comment) (marginalia)] @lead
"""

HASKELL = """
(declarations (function) @function)
(declarations (bind name: (variable) @name) @function)
(declarations (signature) @lead)
(instance_declarations (function) @method)
(class_declarations (signature) @method)
(data_type) @type
(newtype) @type
(type_synonym) @type
(class) @interface
(instance name: (_) @name patterns: (_) @name) @impl
[(comment) (haddock) (pragma)] @lead
"""

CSS = """
(rule_set (selectors) @name) @rule
(media_statement . (_) @name) @rule
(keyframes_statement (keyframes_name) @name) @rule
(comment) @lead
"""

HCL = """
(block . (identifier) @name (string_lit (template_literal) @name)*) @block
(config_file (body (attribute . (identifier) @name) @constant))
(comment) @lead
"""

JULIA = """
(module_definition) @namespace
(function_definition (signature (call_expression . (_) @name))) @function
(function_definition (signature (typed_expression (call_expression . (_) @name)))) @function
(function_definition (signature (where_expression (call_expression . (_) @name)))) @function
(source_file (assignment . (call_expression . (_) @name)) @function)
(module_definition (assignment . (call_expression . (_) @name)) @function)
(struct_definition (type_head (identifier) @name)) @struct
(struct_definition (type_head (binary_expression . (identifier) @name))) @struct
(struct_definition (type_head (parametrized_type_expression . (identifier) @name))) @struct
(struct_definition (type_head (binary_expression . (parametrized_type_expression . (identifier) @name)))) @struct
(abstract_definition (type_head . (_) @name)) @type
(macro_definition (signature (call_expression . (_) @name))) @macro
(source_file (const_statement (assignment . (identifier) @name)) @constant)
(module_definition (const_statement (assignment . (identifier) @name)) @constant)
[(line_comment) (block_comment)] @lead
(source_file (string_literal) @lead)
(module_definition (string_literal) @lead)
"""

ZIG = """
(function_declaration) @function
(variable_declaration (identifier) @name (struct_declaration)) @struct
(variable_declaration (identifier) @name (union_declaration)) @struct
(variable_declaration (identifier) @name (enum_declaration)) @enum
(test_declaration (string (string_content) @name)) @test
(comment) @lead
"""

ELIXIR = """
((call target: (identifier) @_word (arguments . (_) @name)) @namespace (#eq? @_word "defmodule"))
((call target: (identifier) @_word (arguments . (_) @name)) @interface (#eq? @_word "defprotocol"))
((call target: (identifier) @_word (arguments . (_) @name)) @impl (#eq? @_word "defimpl"))
((call target: (identifier) @_word (arguments . [
    (identifier) @name
    (call target: (identifier) @name)
    (binary_operator left: (call target: (identifier) @name))
  ])) @function (#any-of? @_word "def" "defp"))
((call target: (identifier) @_word (arguments . [
    (call target: (identifier) @name)
    (binary_operator left: (call target: (identifier) @name))
  ])) @macro (#any-of? @_word "defmacro" "defmacrop"))
(comment) @lead
(unary_operator operand: (call target: (identifier) @_word) (#any-of? @_word "doc" "spec" "impl")) @lead
"""

OCAML = """
(compilation_unit (value_definition (let_binding pattern: (value_name) @name)) @function)
(structure (value_definition (let_binding pattern: (value_name) @name)) @function)
(value_specification (value_name) @name) @function
(external (value_name) @name) @function
(type_definition (type_binding name: (_) @name)) @type
(exception_definition (constructor_declaration (constructor_name) @name)) @type
(module_definition (module_binding (module_name) @name)) @namespace
(module_type_definition (module_type_name) @name) @interface
(class_definition (class_binding (class_name) @name)) @class
(method_definition (method_name) @name) @method
(comment) @lead
"""

POWERSHELL = """
(function_statement (function_name) @name) @function
(class_statement . (simple_name) @name) @class
(class_method_definition (simple_name) @name) @method
(enum_statement (simple_name) @name) @enum
(comment) @lead
"""

DART = """
(class_definition) @class
(mixin_declaration (identifier) @name) @class
(extension_declaration) @impl
(enum_declaration) @enum
(type_alias . (type_identifier) @name) @type
(program (function_signature name: (_) @name) @function . (function_body) @until)
(_ (method_signature (function_signature name: (_) @name)) @method . (function_body) @until)
(_ (method_signature (getter_signature name: (_) @name)) @method . (function_body) @until)
(_ (method_signature (setter_signature name: (_) @name)) @method . (function_body) @until)
(_ (method_signature (constructor_signature name: (_) @name)) @method . (function_body) @until)
(declaration (constructor_signature name: (_) @name)) @method
(declaration (function_signature name: (_) @name)) @method
[(comment) (documentation_comment)] @lead
"""
