//! `#[derive(Params)]`, which names the parameters and buffers of a module by its fields.

use proc_macro::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Field, Fields, parse_macro_input};

/// Implements `chainrule::nn::Params`: every field is visited under its own name, in the order of declaration. Fields of a tuple
/// struct are called `0`, `1`, .... Type parameters must have parameters too. A field with `#[params(skip)]` is left out; one with `#[params(flat)]` adds no name.
#[proc_macro_derive(Params, attributes(params))]
pub fn params(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// What an attribute says about a field.
#[derive(PartialEq)]
enum How {
    Named,
    Flat,
    Skipped,
}

fn how(field: &Field) -> Result<How, Error> {
    let mut how = How::Named;
    for attribute in field.attrs.iter().filter(|a| a.path().is_ident("params")) {
        attribute.parse_nested_meta(|meta| {
            how = match () {
                () if meta.path.is_ident("skip") => How::Skipped,
                () if meta.path.is_ident("flat") => How::Flat,
                () => return Err(meta.error("expected `skip` or `flat`")),
            };
            Ok(())
        })?;
    }
    Ok(how)
}

fn expand(input: &DeriveInput) -> Result<proc_macro2::TokenStream, Error> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(input.span(), "Params can be derived for structs"));
    };
    let (mut visits, mut visits_mut) = (Vec::new(), Vec::new());
    for (i, field) in data.fields.iter().enumerate() {
        let how = how(field)?;
        if how == How::Skipped {
            continue;
        }
        let (member, name) = match (&data.fields, &field.ident) {
            (Fields::Named(_), Some(ident)) => (quote!(#ident), ident.to_string()),
            _ => {
                let index = syn::Index::from(i);
                (quote!(#index), i.to_string())
            }
        };
        let name = name.trim_start_matches("r#");
        if how == How::Flat {
            visits.push(quote! { ::chainrule::nn::Params::visit(&self.#member, at, f); });
            visits_mut
                .push(quote! { ::chainrule::nn::Params::visit_mut(&mut self.#member, at, f); });
            continue;
        }
        visits.push(quote! {
            let outside = at.enter(#name);
            ::chainrule::nn::Params::visit(&self.#member, at, f);
            at.leave(outside);
        });
        visits_mut.push(quote! {
            let outside = at.enter(#name);
            ::chainrule::nn::Params::visit_mut(&mut self.#member, at, f);
            at.leave(outside);
        });
    }
    let name = &input.ident;
    let mut generics = input.generics.clone();
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(syn::parse_quote!(::chainrule::nn::Params));
    }
    let (impl_generics, type_generics, bounds) = generics.split_for_impl();
    Ok(quote! {
        impl #impl_generics ::chainrule::nn::Params for #name #type_generics #bounds {
            #[allow(unused_variables)]
            fn visit(&self, at: &mut ::chainrule::nn::Path, f: &mut dyn FnMut(&str, ::chainrule::nn::Entry<'_>)) {
                #(#visits)*
            }
            #[allow(unused_variables)]
            fn visit_mut(&mut self, at: &mut ::chainrule::nn::Path, f: &mut dyn FnMut(&str, ::chainrule::nn::EntryMut<'_>)) {
                #(#visits_mut)*
            }
        }
    })
}
